"""Programs are run, limited, detached and ended whole."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from orchestrator import errors
from orchestrator.host import process


def wait_for(true, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_a_program_says_comes_back():
    """Output, errors, exit code and the input it got."""
    ran = process.run(["sh", "-c", "cat; echo no >&2; exit 3"], timeout=5, stdin=b"yes")
    assert (ran.code, ran.out, ran.err) == (3, "yes", "no\n")


def test_a_missing_program_names_its_package():
    """The hint is the command that installs it."""
    with pytest.raises(errors.HostError) as caught:
        process.find_program("rtpengine", process.EngineRoot("/nonexistent"))
    assert "engine root /nonexistent" in caught.value.message
    assert caught.value.hint == "install it: apt-get install rtpengine-daemon"
    with pytest.raises(errors.HostError, match="no-such-program is not installed"):
        process.run(["no-such-program"], timeout=5)


def test_a_refusal_keeps_the_words():
    """With ``check`` a failure is an error that says what the program said."""
    with pytest.raises(errors.EngineRefused) as caught:
        process.run(["sh", "-c", "echo broken >&2; exit 1"], timeout=5, check=True)
    assert caught.value.words == "broken"
    assert "sh -c" in caught.value.hint


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path):
    """The time limit ends the whole session."""
    pid_file = tmp_path / "pid"
    with pytest.raises(errors.EngineSilent, match=r"did not end within 0.5 s"):
        process.run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout=0.5)
    child = int(pid_file.read_text())
    wait_for(lambda: process.group_of(child) is None)


def test_a_detached_program_lives_in_its_own_session_and_ends_whole(tmp_path: Path):
    """Its id is its group's; stop ends the children too and is harmless twice."""
    log = tmp_path / "log"
    pid = process.start(["sh", "-c", "echo hello; sleep 60 & wait"], log=log)
    wait_for(lambda: log.exists() and log.read_text() == "hello\n")
    assert process.group_of(pid) == pid == os.getsid(pid)
    wait_for(lambda: len(process.members(pid)) == 2)
    assert process.command_line(pid)[:2] == ("sh", "-c") or "sh" in process.command_line(pid)[0]
    process.stop(pid, timeout=5)
    assert process.members(pid) == ()
    assert not process.alive(pid)
    process.stop(pid, timeout=5)


def test_a_program_that_ignores_term_is_killed(tmp_path: Path):
    """TERM first, KILL after the patience."""
    log = tmp_path / "log"
    pid = process.start(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"], log=log)
    wait_for(lambda: log.exists() and log.read_text() == "up\n")
    began = time.monotonic()
    process.stop(pid, timeout=0.3)
    assert 0.3 <= time.monotonic() - began < 3
    assert process.members(pid) == ()


def test_an_engine_root_shares_state_and_files():
    """The words that lead inside: state writable, files read-only and only if they exist."""
    root = process.EngineRoot("/tree", write=("/state",), read=("/etc/hosts",))
    words = " ".join(root.prefix())
    assert words.startswith("bwrap --bind /tree / ")
    assert "--bind /state /state" in words
    assert "--ro-bind-try /etc/hosts /etc/hosts" in words
