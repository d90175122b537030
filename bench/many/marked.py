"""Figures of a run in bench/README.md: between two marks, written anew by `make bench`."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def put(name: str, told: str, readme: Path = README) -> None:
    """Write *told* between the marks of that name."""
    text = readme.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, mark, rest = text.partition(begin)
    _, close, after = rest.partition(end)
    if not mark or not close:
        raise LookupError(f"{readme} has no place for {name}")
    readme.write_text(f"{before}{begin}\n{told.strip()}\n\n{end}{after}")


def facts(root: str = "") -> str:
    """What the figures were taken on."""
    told = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", told, re.MULTILINE)
    engines = f", engines: {root}" if root else ""
    return (
        f"{os.cpu_count()} processors ({model[1] if model else platform.machine()}), "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
        f"{engines}; load while it ran: {os.getloadavg()[2]:.1f}"
    )
