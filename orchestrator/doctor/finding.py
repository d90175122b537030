"""What doctor says about one thing: how bad it is, what was seen, what to do, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Path = tuple[str | int, ...]


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    HINT = "hint"
    """Nothing is wrong; something is worth knowing."""
    WARNING = "warning"
    """Calls pass now; something may end them."""
    PROBLEM = "problem"
    """Calls with Teams, or the certificate they need, fail by this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: Its name: ``dns``, ``caa``, ``served``...
        level: How bad it is.
        seen: What was seen, one sentence without a full stop.
        do: The next thing to do; empty when there is nothing.
        path: Where in site.yaml this is decided.
    """

    check: str
    level: Level
    seen: str
    do: str = ""
    path: Path = ()


def worst(findings: tuple[Finding, ...]) -> Level:
    """The worst level among *findings*; ok when there are none."""
    order = tuple(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)
