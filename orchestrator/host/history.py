"""What was done to this machine, one line for each change: ``STATE/history.jsonl``.

Lines are added whole, one ``write`` each. The file is for people and for ``rollback``, which
asks it what served before; that it could not be written is told, and stops no change.
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

from orchestrator.host import access, files

_LARGEST = 512 * 1024
_KEPT = 500
_OURS = access.Access(0o600)


class Result(StrEnum):
    """How a change ended."""

    APPLIED = "applied"
    RESTORED = "restored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change.

    Attributes:
        time: When it ended, UTC, as ``2026-11-26T13:05:00Z``.
        command: What it was: ``apply fra1``.
        by: Who asked for it.
        result: How it ended.
        before: Name of the generation that served before; empty when none did.
        after: Name of the generation that serves now; empty when none does.
        steps: The kinds of the steps that were asked for, in order.
        seconds: How long it took.
        message: Why it failed; empty when it did not.
    """

    time: str
    command: str
    by: str
    result: Result
    before: str
    after: str
    steps: tuple[str, ...] = ()
    seconds: float = 0.0
    message: str = ""


def read(state: Path) -> tuple[Entry, ...]:
    """Every change on record, oldest first; lines that make no sense are left out."""
    try:
        lines = _path(state).read_bytes().splitlines()
    except OSError:
        return ()
    return tuple(entry for line in lines if (entry := _entry(line)) is not None)


def add(state: Path, entry: Entry) -> None:
    """Add a change; when the file has grown large, the oldest go.

    Raises:
        HostError: It cannot be written.
    """
    path = _path(state)
    with files.translated(path, "write"):
        if path.exists() and path.stat().st_size > _LARGEST:
            kept = path.read_bytes().splitlines(keepends=True)[-_KEPT:]
            files.write(path, b"".join(kept), _OURS)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(path, flags, 0o600)
        try:
            # A line that was cut off by a full disk must not swallow this one.
            end = os.fstat(handle).st_size
            torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
            line = f"{json.dumps(asdict(entry))}\n".encode()
            os.write(handle, b"\n" + line if torn else line)
            os.fsync(handle)
        finally:
            os.close(handle)


def who(env: Mapping[str, str]) -> str:
    """Who asks: the user behind sudo, else the one we run as."""
    if env.get("SUDO_USER"):
        return env["SUDO_USER"]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _entry(line: bytes) -> Entry | None:
    try:
        read = json.loads(line)
        known = {field.name: read[field.name] for field in fields(Entry) if field.name in read}
        known["result"] = Result(known["result"])
        known["steps"] = tuple(map(str, known.get("steps", ())))
        return Entry(**known)
    except (ValueError, TypeError, KeyError):
        return None


def _path(state: Path) -> Path:
    return state / "history.jsonl"
