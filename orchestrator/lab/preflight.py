"""What the lab needs of this machine: all that is missing is said at once, as one line to type."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orchestrator import errors
from orchestrator.engines import kamailio, rtpengine
from orchestrator.host import process

ENGINES: dict[str, tuple[str, ...]] = {
    "kamailio": ("kamailio", "kamailio-tls-modules", "kamailio-sqlite-modules"),
    "rtpengine": ("rtpengine-daemon",),
}
"""The SBC's engines, by program, with the Debian packages they come from."""

TOOLS: dict[str, tuple[str, ...]] = {
    "named": ("bind9",),
    "pebble": ("pebble",),
    "unshare": ("util-linux",),
    "setpriv": ("util-linux",),
    "nsenter": ("util-linux",),
    "mount": ("mount",),
    "nft": ("nftables",),
}
"""What else the lab runs."""


def find_missing(
    engine_root: str | None, tools: Mapping[str, tuple[str, ...]] = TOOLS
) -> tuple[str, ...]:
    """The Debian packages that must be installed on this machine, sorted; none is best.

    Raises:
        HostError: The engine root lacks an engine.
    """
    needed = dict(tools)
    if engine_root is None:
        needed |= ENGINES
    else:
        needed["bwrap"] = ("bubblewrap",)
        for name in ENGINES:
            process.find_program(name, process.EngineRoot(engine_root))
    missing = {
        package for name, packages in needed.items() if not _is_here(name) for package in packages
    }
    if not Path("/etc/ssl/certs/ca-certificates.crt").is_file():
        missing.add("ca-certificates")
    return tuple(sorted(missing))


def check(engine_root: str | None) -> None:
    """Make sure that everything is here.

    Raises:
        HostError: Something is missing; the hint is the line that installs it.
    """
    missing = find_missing(engine_root)
    if missing:
        sudo = "" if os.geteuid() == 0 else "sudo "
        raise errors.HostError(
            f"the lab needs {', '.join(missing)}",
            hint=f"{sudo}apt-get install --no-install-recommends {' '.join(missing)}",
        )


def describe_engines(engine_root: str | None) -> str:
    """The engines and their versions, for the first line a person reads."""
    root = process.EngineRoot(engine_root) if engine_root else None
    version = ".".join(map(str, kamailio.probe_facts(root).version))
    media = ".".join(map(str, rtpengine.probe_version(root)))
    return f"Kamailio {version}, RTPEngine {media}"


def _is_here(name: str) -> bool:
    try:
        process.find_program(name)
    except errors.HostError:
        return False
    return True
