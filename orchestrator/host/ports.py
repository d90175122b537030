"""Who listens on a TCP port of this machine, read from /proc; nothing is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Listener:
    """A program that listens.

    Attributes:
        name: The program; empty when it belongs to somebody else and we may not see it.
        pid: Its process; 0 when unknown.
    """

    name: str
    pid: int


def listeners(port: int) -> tuple[Listener, ...]:
    """Who listens on *port* at any IPv4 or IPv6 address, sorted, each program once."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _inodes(table, port)}
    if not inodes:
        return ()
    found = {_owner(inode) for inode in inodes}
    return tuple(sorted(found, key=lambda each: (each.name, each.pid)))


def _inodes(table: str, port: int) -> Iterator[str]:
    try:
        lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
            yield words[9]


def _owner(inode: str) -> Listener:
    wanted = f"socket:[{inode}]"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(entry.readlink()) == wanted for entry in (folder / "fd").iterdir()):
                name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return Listener(name, int(folder.name))
        except OSError:
            continue
    return Listener("", 0)
