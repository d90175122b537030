"""The lab that stays: how it is asked, and that it is gone when it is gone."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator import errors
from orchestrator.lab import control, preflight

PLACE = Path(__file__).resolve().parents[2]


LAB = f"test-{os.getpid()}"
"""A lab of our own, whatever else is up on this machine."""


async def echo(question: control.Words) -> tuple[control.Words, bool]:
    return {"asked": question}, question.get("verb") == "down"


@contextmanager
def served() -> Iterator[threading.Thread]:
    """A lab that repeats what it was asked, until it is asked to go down."""
    listener = control.listen(LAB)

    def serve() -> None:
        with listener:
            asyncio.run(control.serve(listener, echo))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield thread
    finally:
        if thread.is_alive():
            control.ask(LAB, {"verb": "down"}, timeout=5)
        thread.join(5)


def test_a_question_gets_its_answer() -> None:
    with served():
        said = control.ask(LAB, {"verb": "call", "name": "busy"}, timeout=5)
        assert said == {"asked": {"verb": "call", "name": "busy"}}


def test_after_the_last_answer_the_lab_is_gone() -> None:
    with served() as thread:
        control.ask(LAB, {"verb": "down"}, timeout=5)
        control.wait_until_gone(LAB, timeout=5)
        thread.join(5)
        assert not thread.is_alive()
    with pytest.raises(errors.HostError, match="no lab of yours is up"):
        control.ask(LAB, {"verb": "call"}, timeout=5)


def test_there_is_one_lab_of_a_name() -> None:
    with control.listen(LAB), pytest.raises(errors.LockHeld, match="up already"):
        control.listen(LAB)


def test_a_lab_that_does_not_answer_is_said_to_be_silent() -> None:
    with control.listen(LAB), pytest.raises(errors.EngineSilent, match="did not answer"):
        control.ask(LAB, {"verb": "call"}, timeout=0.1)


def test_a_lab_that_stays_is_said_to_stay() -> None:
    with control.listen(LAB), pytest.raises(errors.EngineSilent, match="still there"):
        control.wait_until_gone(LAB, timeout=0.2)


@pytest.mark.parametrize("noise", [b"", b"\n", b"{", b"\xff\xfe\n", b"[" * 9000 + b"\n"])
def test_nonsense_does_no_harm(noise: bytes) -> None:
    with served():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(5)
            asking.connect(control.address_of(LAB))
            asking.sendall(noise)
            asking.shutdown(socket.SHUT_WR)
            assert asking.recv(100) == b""
        assert control.ask(LAB, {"verb": "x"}, timeout=5) == {"asked": {"verb": "x"}}


def sbcctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *words],
        env={**os.environ, "PYTHONPATH": str(PLACE), "SBCCTL_LAB": LAB},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("words", [("call", "busy"), ("down",)])
def test_without_a_lab_the_command_line_says_so(words: tuple[str, ...]) -> None:
    ran = sbcctl("lab", *words)
    assert (ran.returncode, ran.stdout) == (6, "")
    assert ran.stderr.splitlines() == [
        "error: no lab of yours is up",
        "  hint: sbcctl lab up starts one",
    ]


@pytest.mark.parametrize("words", [("call", "nobody"), ("run", "--only", "nobody")])
def test_an_unknown_story_is_a_usage_error(words: tuple[str, ...]) -> None:
    ran = sbcctl("lab", *words)
    assert ran.returncode == 64
    assert "no scenario nobody" in ran.stderr
    assert "sbcctl lab list" in ran.stderr


def test_a_report_that_cannot_be_written_is_found_before_the_calls(tmp_path: Path) -> None:
    ran = sbcctl("lab", "run", "--report", str(tmp_path / "missing" / "report.html"))
    assert ran.returncode == 6
    assert "cannot be written" in ran.stderr


def test_a_missing_engine_root_is_said_before_anything_is_built(tmp_path: Path) -> None:
    ran = sbcctl("--engine-root", str(tmp_path), "lab", "run")
    assert ran.returncode == 6
    assert "kamailio" in ran.stderr


def test_everything_that_is_missing_is_named_at_once() -> None:
    tools = {"no-such-a": ("package-b",), "no-such-b": ("package-a", "package-b")}
    missing = preflight.find_missing(None, {**preflight.TOOLS, **tools})
    assert {"package-a", "package-b"} <= set(missing)
    assert list(missing) == sorted(missing)
