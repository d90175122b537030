"""Which engines the tests run on: this machine's own, and the roots `make engines` built.

A lane is a name: ``host``, ``debian12``, ``debian13``. Debian's unstable is a lane only when it
is asked for (`make test ENGINES=debian-sid`), because it reports and never blocks.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_RELEASES = {"debian12": "bookworm", "debian13": "trixie"}


def folder() -> Path:
    """Where the engine roots are; scripts/engines.sh reads the same variables."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SBCCTL_ENGINES") or cache / "sbcctl" / "engines")


def names() -> tuple[str, ...]:
    """The lanes of this machine: its own engines, then every promised generation it is not."""
    release = Path("/etc/os-release").read_text()
    others = [
        name for name, code in _RELEASES.items() if f"VERSION_CODENAME={code}" not in release
    ]
    asked = os.environ.get("SBCCTL_LANES", "").split()
    return tuple(dict.fromkeys(["host", *others, *asked]))


def floor() -> list[str]:
    """The floor of production, where this machine has it: for what is the same on every lane.

    All lanes with `make faults`.
    """
    if os.environ.get("SBCCTL_FAULTS") == "every":
        return list(names())
    return [name for name in names() if name == "debian13"] or ["host"]


def root(name: str) -> Path | None:
    """The engine root of a lane; None for this machine's own engines."""
    return None if name == "host" else folder() / name


def missing(name: str) -> str:
    """Say why a lane cannot run here; an empty string when it can."""
    tree = root(name)
    if tree is None:
        absent = [program for program in ("kamailio", "rtpengine") if not shutil.which(program)]
        return f"{', '.join(absent)} not installed (make setup)" if absent else ""
    if not (tree / "usr/bin/rtpengine").exists():
        return f"no engine root {name} in the cache folder (make engines)"
    return "" if shutil.which("bwrap") else "no bwrap to enter an engine root (make setup)"
