"""Who is told how far a long work is; the work knows this shape and not the console."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Noting(Protocol):
    """A step that is running."""

    def note(self, text: str, *, bad: bool = False) -> None:
        """Say what came of it, and whether it is bad though nothing was raised."""
        ...


class Progress(Protocol):
    """Who is told how far it is: ``console.Console`` fits."""

    def step(self, name: str, text: str) -> AbstractContextManager[Noting]:
        """Show one step while the block runs."""
        ...

    def say(self, text: str) -> None:
        """Say a line beside the steps."""
        ...
