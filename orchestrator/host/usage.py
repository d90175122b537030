"""What running programs use, from /proc: open files and memory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
"""Where the kernel shows the processes of our own PID namespace."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process uses.

    Attributes:
        name: Its program, as the kernel calls it: ``kamailio``.
        pid: Its number.
        files: Files and sockets it has open.
        resident: Bytes of memory it has, what it shares with others included.
        private: Bytes it has alone, without those of files.
    """

    name: str
    pid: int
    files: int
    resident: int
    private: int


def of_programs(*names: str, proc: Path = PROC) -> tuple[Usage, ...]:
    """What every process of these programs uses, by number; one that ends meanwhile is left out.

    Args:
        names: Programs as the kernel calls them; at most 15 bytes each.
        proc: Where the processes are shown.
    """
    found = []
    for folder in proc.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
                if name in names:
                    found.append(_usage_of(name, folder))
    return tuple(sorted(found, key=lambda usage: usage.pid))


def _usage_of(name: str, folder: Path) -> Usage:
    lines = (folder / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    sizes = {key: value for key, _, value in (line.partition(":") for line in lines)}
    return Usage(
        name=name,
        pid=int(folder.name),
        files=sum(1 for _ in (folder / "fd").iterdir()),
        resident=_bytes(sizes.get("VmRSS", "")),
        private=_bytes(sizes.get("RssAnon", "")),
    )


def _bytes(text: str) -> int:
    """The kernel writes ``  1234 kB``; a process that is ending has no such line."""
    words = text.split()
    return int(words[0]) * 1024 if words else 0
