"""Files that are written whole or not at all: what the disk refuses, and what survives."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator import errors

_HINTS = {
    errno.ENOSPC: "free some space there and try again; nothing in service was changed",
    errno.EDQUOT: "the quota is used up; raise it and try again",
    errno.EROFS: "the file system is read-only; remount it, or name another with --state-dir",
    errno.EACCES: "run sbcctl as the owner of that directory (root), or use --state-dir",
    errno.EPERM: "run sbcctl as the owner of that directory (root), or use --state-dir",
}


@contextmanager
def translated(path: Path, doing: str) -> Iterator[None]:
    """Say which path refused what, and what to do."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        hint = _HINTS.get(error.errno or 0, "see the path's owner, mode and file system")
        raise errors.HostError(
            f"cannot {doing} {place}: {(error.strerror or str(error)).lower()}", hint=hint
        ) from error


@contextmanager
def removed_unless_whole(folder: Path, used: str | None) -> Iterator[None]:
    """Remove a folder that was begun in the block and not finished; one in use stays."""
    known = folder.exists() or folder.name == used
    try:
        yield
    except BaseException:
        if not known:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def sync_directories(folder: Path) -> None:
    """Make what was renamed in a folder and below it survive a power cut."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync(path)
    sync(folder)


def sync(folder: Path) -> None:
    """Make what was renamed in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
