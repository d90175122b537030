"""A list that can be waited on: what an actor saw, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Silence(Exception):
    """Nothing of the kind that was waited for came in time; the message says what."""


class Journal(Generic[T]):
    """Entries in the order they came; one event loop only.

    Attributes:
        entries: Those that are there.
        keep: The least that is kept of them when many come, or None for all.
    """

    def __init__(self) -> None:
        self.entries: list[T] = []
        self.keep: int | None = None
        self._news = asyncio.Event()

    def add(self, entry: T) -> None:
        """Write down an entry and wake whoever waits."""
        self.entries.append(entry)
        if self.keep is not None and len(self.entries) > 2 * self.keep:
            del self.entries[: -self.keep]
        self._news.set()
        self._news = asyncio.Event()

    async def first(
        self, wanted: Callable[[T], bool], *, within: float, what: str, after: int = 0
    ) -> T:
        """The first entry that is wanted, among the ones here and the ones to come.

        Args:
            wanted: Tells whether an entry is the one.
            within: Seconds to wait at most.
            what: What is waited for, for the message: ``a 180 from the SBC``.
            after: Entries before this index do not count.

        Raises:
            Silence: It did not come in time.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    news = self._news
                    for entry in self.entries[after:]:
                        if wanted(entry):
                            return entry
                    await news.wait()
        except TimeoutError as error:
            raise Silence(f"waited {within:g} s for {what}, which did not come") from error


async def happened(event: asyncio.Event, *, within: float, what: str) -> None:
    """Wait for an event, at most that many seconds; Silence when it does not come."""
    try:
        async with asyncio.timeout(within):
            await event.wait()
    except TimeoutError as error:
        raise Silence(f"waited {within:g} s for {what}, which did not come") from error
