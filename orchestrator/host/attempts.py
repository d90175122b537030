"""What was tried to renew a certificate: a file in the state directory that survives a power cut.

Each certificate has its own: that of teams.fqdn ``renewal.json``, that of a tenant one with its
name in it. An attempt is written before the CA is asked and taken back when it has succeeded, so
that a run that dies in between, again and again, still counts. A file that cannot be read counts
as none.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

from orchestrator import renewal
from orchestrator.host import access, files

_OURS = access.Access(0o600)
_KEPT = dt.timedelta(days=30)
_MOST = 200


def read(state: Path, name: str = "") -> renewal.Memory:
    """What is remembered; *name* is the tenant's at Microsoft, empty for the site's own."""
    try:
        noted = json.loads(_path(state, name).read_bytes())
        window = noted["window"]
        return renewal.Memory(
            failed=tuple(_attempt(each) for each in noted["failed"]),
            window=window and _window(window),
            ask_again=noted["ask_again"] and _time(noted["ask_again"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return renewal.Memory()


def write(state: Path, memory: renewal.Memory, name: str = "") -> None:
    """Remember; the file changes as a whole.

    Raises:
        HostError: It cannot be written; then no CA may be asked.
    """
    window = memory.window
    noted = {
        "failed": [
            {
                "at": each.at.isoformat(),
                "ca": each.ca,
                "retry_at": each.retry_at and each.retry_at.isoformat(),
            }
            for each in memory.failed
        ],
        "window": window
        and {
            "identity": window.identity,
            "begin": window.begin.isoformat(),
            "end": window.end.isoformat(),
            "reason": window.reason,
        },
        "ask_again": memory.ask_again and memory.ask_again.isoformat(),
    }
    path = _path(state, name)
    with files.translated(path, "write"):
        files.write(path, (json.dumps(noted, indent=1) + "\n").encode(), _OURS)
        files.sync(state)


def begin(state: Path, ca: str, now: dt.datetime, name: str = "") -> None:
    """Note that a CA is asked, before it is."""
    memory = read(state, name)
    known = [each for each in memory.failed if each.at > now - _KEPT][-_MOST + 1 :]
    write(state, replace(memory, failed=(*known, renewal.Attempt(now, ca))), name)


def name_time(state: Path, retry_at: dt.datetime, name: str = "") -> None:
    """Note the time that the CA named when it refused the last attempt."""
    memory = read(state, name)
    if memory.failed:
        last = replace(memory.failed[-1], retry_at=retry_at)
        write(state, replace(memory, failed=(*memory.failed[:-1], last)), name)


def succeed(state: Path, name: str = "") -> None:
    """Note that a certificate was obtained and proven: what failed before counts no more."""
    memory = read(state, name)
    if memory.failed:
        write(state, replace(memory, failed=()), name)


def hear(
    state: Path, window: renewal.Window | None, ask_again: dt.datetime, name: str = ""
) -> renewal.Memory:
    """Note what a CA said about its window, or that it said nothing."""
    memory = replace(read(state, name), ask_again=ask_again)
    if window is not None:
        memory = replace(memory, window=window)
    write(state, memory, name)
    return memory


def _path(state: Path, name: str) -> Path:
    return state / (f"renewal.{name}.json" if name else "renewal.json")


def _attempt(noted: dict[str, str]) -> renewal.Attempt:
    retry_at = _time(noted["retry_at"]) if noted["retry_at"] else None
    return renewal.Attempt(_time(noted["at"]), str(noted["ca"]), retry_at)


def _window(noted: dict[str, str]) -> renewal.Window:
    begins, ends = _time(noted["begin"]), _time(noted["end"])
    return renewal.Window(str(noted["identity"]), begins, ends, str(noted["reason"]))


def _time(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return found
