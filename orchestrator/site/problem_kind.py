"""What there is to say about one kind of Problem."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """What ``explain`` says about one id."""

    means: str
    """What was found."""
    why: str
    """Why that is a problem."""
    do: str
    """What to do about it."""
    example: str = ""
    """How it is written right; lines of site.yaml, or nothing where there is nothing to show."""
