"""Files that are written whole or not at all: who may read them, what the disk refuses."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator import errors
from orchestrator.host import access

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
        place = error.filename2 or error.filename or path
        hint = _HINTS.get(error.errno or 0, "see the path's owner, mode and file system")
        raise errors.HostError(
            f"cannot {doing} {place}: {(error.strerror or str(error)).lower()}", hint=hint
        ) from error


def write(path: Path, content: bytes, wanted: access.Access) -> None:
    """Write a whole file by rename, readable by nobody else before it is as *wanted*.

    A crash leaves the old content or the new one.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    write_new(beside, content, wanted)
    beside.replace(path)


def write_new(path: Path, content: bytes, wanted: access.Access) -> None:
    """Write a file that is not there yet, in a place nobody looks at before it is whole.

    Until it has its owner it is readable by nobody else; a crash leaves a part of it.
    """
    given_away = wanted.uid is not None or wanted.gid is not None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(path, flags, 0o600 if given_away else wanted.mode)
    try:
        _give(handle, wanted)
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def make_folder(path: Path, wanted: access.Access) -> None:
    """Make a directory, or put right who may read the one that is there."""
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True)
    put_right(path, wanted)


def put_right(path: Path, wanted: access.Access) -> None:
    """Give a file or directory what is wanted; one that has it already is not touched."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _give(handle, wanted)
    finally:
        os.close(handle)


def _give(handle: int, wanted: access.Access) -> None:
    now = os.fstat(handle)
    uid = now.st_uid if wanted.uid is None else wanted.uid
    gid = now.st_gid if wanted.gid is None else wanted.gid
    if (uid, gid) != (now.st_uid, now.st_gid):
        os.fchown(handle, uid, gid)
    if stat.S_IMODE(now.st_mode) != wanted.mode:
        os.fchmod(handle, wanted.mode)


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
