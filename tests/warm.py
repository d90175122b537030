"""A warm sbcctl inside a machine of ground.py: a process for each command line, forked.

    warm.py FOLDER       a line of JSON in, {"words": [...], "strace": [...]}; one out, {"code": N}

With ``strace`` the process waits until strace has attached, so every call of the command line is
seen and nothing before it. strace follows nobody: the engines are not touched. What was said is
in FOLDER/said, what strace saw in FOLDER/trace. With ``stops``, names of calls, the process is
stopped at each of them, and every state it has made by then (states.py) is kept in a folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import states

from orchestrator import cli

_TICK = 0.0003
_STILL = 0.004
_LONGEST = 200.0
"""Seconds that a command line may take when it is stopped at each call; it takes twenty."""


def _child(words: list[str], folder: Path, begin: int) -> None:
    """Run one command line and never return."""
    code = 70
    try:
        said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.read(begin, 1)
        code = cli.run(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(
    folder: Path,
    words: list[str],
    strace: list[str],
    at_stop: Callable[[], None] | None = None,
) -> int:
    begin, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        _child(words, folder, begin)
    os.close(begin)
    watching = None
    if strace:
        argv = ["strace", "-o", str(folder / "trace"), *strace, "-p", str(pid)]
        watching = subprocess.Popen(argv, stderr=subprocess.PIPE)
        assert watching.stderr
        assert b"attached" in watching.stderr.readline()
    os.write(go, b"g")
    os.close(go)
    status = _until_it_ends(pid, watching.pid if watching else 0, at_stop)
    if watching:
        watching.communicate()
    return os.waitstatus_to_exitcode(status)


def _until_it_ends(pid: int, watching: int, at_stop: Callable[[], None] | None) -> int:
    """Wait for a process; one that strace stopped is looked at and sent on."""
    latest = time.monotonic() + _LONGEST
    while at_stop:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() > latest:
            raise _too_long(pid, watching)
        # In the stops between, strace is at work; twice, because it may not be awake yet.
        if not (_stands(pid, watching) and _stands(pid, watching)):
            time.sleep(_TICK)
            continue
        at_stop()
        os.kill(pid, signal.SIGCONT)
        end = time.monotonic() + _STILL
        while _stands(pid, watching) and time.monotonic() < end:
            pass
    return os.waitpid(pid, 0)[1]


def _stands(pid: int, watching: int) -> bool:
    """Whether a process is stopped, and who traces it waits."""
    return _letter(pid) in "tT" and _letter(watching) == "S"


def _letter(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return "?"


class Stuck(Exception):
    """strace has left a process stopped for good: no fault of the process or of an engine."""


def _too_long(pid: int, watching: int) -> Exception:
    """What to say of a command line that does not end, which is ended now."""
    seen = f"it does not end:\n{_seen(pid)}\nstrace:\n{_seen(watching)}"
    stuck = _letter(pid) in "tT"
    os.kill(watching, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    return Stuck(seen) if stuck else TimeoutError(seen)


def _seen(pid: int) -> str:
    """What the kernel says of a process."""
    told = []
    for name in ("stat", "wchan", "syscall"):
        try:
            told.append(f"{name}: {Path(f'/proc/{pid}/{name}').read_text()}")
        except OSError as error:
            told.append(str(error))
    return "\n".join(told)


def _stopped(folder: Path, asked: dict) -> dict:
    """Run a command line stopped at every call, and keep each state it makes."""
    named = asked["place"]
    place = states.Place(Path(named.pop("state")), Path(named.pop("run")), **named)
    kept: dict[str, dict[str, object]] = {}
    stops = 0

    def look() -> None:
        nonlocal stops
        stops += 1
        disk, held = place.disk(), place.held()
        if not held:
            raise ConnectionError(f"at stop {stops} Kamailio does not say what it holds")
        if f"{disk} {held}" not in kept:
            into = Path(asked["into"]) / str(len(kept))
            place.keep(into)
            kept[f"{disk} {held}"] = {"folder": str(into), "disk": disk, "held": held}

    calls = asked["stops"]
    strace = ["-e", f"trace={calls}", "-e", f"inject={calls}:signal=STOP"]
    try:
        code = _run(folder, asked["words"], strace, look)
    except Stuck as stuck:
        return {"stuck": f"after {stops} stops {stuck}"}
    return {"code": code, "stops": stops, "states": list(kept.values())}


def main() -> None:
    """Answer until nobody asks."""
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        if asked.get("here"):
            # In this very process: whatever it imports is there for all that are forked.
            told = {"code": cli.run(asked["words"])}
        elif "stops" in asked:
            told = _stopped(folder, asked)
        else:
            told = {"code": _run(folder, asked["words"], asked.get("strace", []))}
        sys.stdout.write(f"@{json.dumps(told)}\n")
        sys.stdout.flush()


main()
