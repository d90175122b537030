"""How sbcctl calls itself: from a wheel and from a checkout alike."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

ARGV = (sys.executable, "-m", "orchestrator.cli")
"""The words in front of the verb."""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our own environment, in which this very copy of sbcctl is found, and *more*."""
    place = Path(__file__).resolve().parents[2]
    known = os.environ.get("PYTHONPATH", "")
    if place.name in ("site-packages", "dist-packages"):
        paths = known
    else:
        paths = f"{place}:{known}" if known else str(place)
    found = {"PYTHONPATH": paths} if paths else {}
    return {**os.environ, **found, **(more or {})}
