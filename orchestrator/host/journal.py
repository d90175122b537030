"""What served when a change began: written before the first rename, taken away when it has ended.

A run that dies in the middle leaves it. The next one under the lock finds it there and knows
where the way back leads, which the engines alone cannot tell: they are between two generations.
It is written and removed as a whole (``files.write``); one that cannot be read counts as none,
and the last known good generation is where the way back leads then.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.host import access, files

_OURS = access.Access(0o600)


@dataclass(frozen=True, slots=True)
class Before:
    """What served when we began: the way back leads there.

    Attributes:
        command: What began: ``apply fra1``.
        pid: The process that did.
        began: When, UTC, as ``2026-11-26T13:05:00Z``.
        candidate: Name of the generation that is tried.
        staged: Whether the candidate was written for this change, and goes when it fails.
        current: Name of the generation that was current, or None.
        good: Name of the generation that was last observed to work, or None.
        certificate: Name of the certificate that was in use, or None.
        kamailio: Whether Kamailio ran.
        rtpengine: Whether RTPEngine ran.
    """

    command: str
    pid: int
    began: str
    candidate: str
    staged: bool
    current: str | None
    good: str | None
    certificate: str | None
    kamailio: bool
    rtpengine: bool


def read(state: Path) -> Before | None:
    """What the last change left when it did not end; None when it ended."""
    try:
        noted = json.loads(_path(state).read_bytes())
        names = [noted[key] for key in ("candidate", "current", "good", "certificate")]
        # What is read here decides which folders are used: a name, and nothing else.
        if all(name is None or str(name).isalnum() for name in names):
            return Before(**noted)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return None


def write(state: Path, before: Before) -> None:
    """Note that a change begins; the note survives a power cut.

    Raises:
        HostError: It cannot be written; nothing was changed yet.
    """
    path = _path(state)
    with files.translated(path, "write"):
        files.write(path, (json.dumps(asdict(before), indent=1) + "\n").encode(), _OURS)
        files.sync(state)


def clear(state: Path) -> None:
    """Note that it ended, this way or the other; nothing happens when there is no note.

    Raises:
        HostError: It cannot be removed.
    """
    path = _path(state)
    if path.exists():
        with files.translated(path, "remove"):
            path.unlink()
            files.sync(state)


def _path(state: Path) -> Path:
    return state / "journal.json"
