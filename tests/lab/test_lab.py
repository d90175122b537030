"""``sbcctl lab`` as an operator uses it: real engines, real calls, and nothing left behind."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lanes
import pytest
import test_world

from orchestrator.lab import preflight

pytestmark = [
    pytest.mark.lab,
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(preflight.find_missing(None)), reason="the lab's programs are not installed"
    ),
]


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark in the environment of whatever belongs to this test; also the lab's name."""
    yield (mark := secrets.token_hex(16))
    left = test_world.marked(mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == {}


def argv(*words: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator.cli", *words]


def environment(mark: str, lane: str = "host") -> dict[str, str]:
    root = lanes.root(lane)
    own = {"SBCCTL_LAB": mark, **({"SBCCTL_ENGINE_ROOT": str(root)} if root else {})}
    return {**test_world.environment(mark), **own}


def sbcctl(mark: str, *words: str, lane: str = "host") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(*words),
        env=environment(mark, lane),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_up_call_call_down(mark: str, lane: str) -> None:
    before = test_world.traces()
    up = sbcctl(mark, "lab", "up", lane=lane)
    assert up.returncode == 0, up.stderr
    assert up.stdout.startswith("the lab is up on Kamailio")
    assert "nothing to do" in up.stderr
    assert {"kamailio", "rtpengine", "named", "pebble"} <= set(test_world.marked(mark).values())

    call = sbcctl(mark, "--output", "json", "lab", "call", "teams-to-pbx")
    said = json.loads(call.stdout)
    assert [audio["altered"] + audio["forged"] for audio in said["audio"]] == [0, 0]
    assert min(audio["received"] for audio in said["audio"]) >= 90
    assert said["trace"]
    assert call.returncode == (0 if said["ok"] else 1)

    busy = sbcctl(mark, "lab", "call", "busy")
    assert "486" in busy.stdout
    assert "Teams calls a busy PBX" in busy.stdout

    # From one site to another and back, by apply on an SBC that serves.
    for name in ("teams-to-branch", "busy"):
        told = sbcctl(mark, "--output", "json", "lab", "call", name)
        assert json.loads(told.stdout)["ok"], told.stdout

    second = sbcctl(mark, "lab", "up")
    assert second.returncode == 5
    assert "already" in second.stderr

    down = sbcctl(mark, "lab", "down")
    assert (down.returncode, down.stdout) == (0, "the lab is gone\n")
    assert test_world.marked(mark) == {}
    assert test_world.traces() == before


def test_ctrl_c_while_the_sbc_serves(mark: str, tmp_path: Path) -> None:
    before = test_world.traces()
    report = tmp_path / "report.html"
    words = ("lab", "run", "--only", "busy", "--keep", "--report", str(report))
    with subprocess.Popen(
        argv(*words),
        env=environment(mark),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as chain:
        assert chain.stderr is not None
        said = ""
        while "the lab stays up" not in said:
            line = chain.stderr.readline()
            assert line, said
            said += line
        assert "kamailio" in test_world.marked(mark).values()
        assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
        chain.send_signal(signal.SIGINT)
        chain.communicate(timeout=15)
        assert chain.returncode == 130
    assert test_world.wait_until_gone(mark) == {}
    assert test_world.traces() == before
    assert list(tmp_path.iterdir()) == [report]
