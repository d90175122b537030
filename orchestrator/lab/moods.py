"""What any actor can do wrong on purpose, for as long as a story wants."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from orchestrator.lab import agent
from orchestrator.sip import build


class Moody(abc.ABC):
    """An actor with moods, each of them an async context manager.

    What the network can do to an actor is in :mod:`orchestrator.lab.trouble`.
    """

    _agent: agent.Agent

    @abc.abstractmethod
    async def open(self) -> None:
        """Listen."""

    @abc.abstractmethod
    def places(self) -> tuple[str, ...]:
        """The addresses it listens at."""

    async def drop_connections(self) -> None:
        """Close all connections, as Microsoft does with idle ones (TLS-8)."""
        await self._agent.drop_connections()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Nobody listens here meanwhile: the kernel refuses by ICMP or a TCP reset."""
        await self._agent.stop_listening()
        await self._agent.drop_connections()
        try:
            yield
        finally:
            await self.open()

    async def close_connections(self) -> None:
        """Close all connections, so that whatever comes next needs new ones (TLS-8)."""
        await self._agent.drop_connections()

    @asynccontextmanager
    async def mute(self, addresses: Iterable[str] = ()) -> AsyncIterator[None]:
        """It hears everything meanwhile and says nothing to it; connections stand.

        Args:
            addresses: Those of its addresses that fall mute; by default all of them.
        """
        self._agent.mute = frozenset(addresses) or frozenset(self.places())
        try:
            yield
        finally:
            self._agent.mute = frozenset()

    @asynccontextmanager
    async def hurried(self) -> AsyncIterator[None]:
        """It closes the connection after each transaction meanwhile (TLS-8)."""
        self._agent.hurried = True
        try:
            yield
        finally:
            self._agent.hurried = False


class Fillable(Moody):
    """An actor whose places can be full.

    Attributes:
        full: The addresses that answer OPTIONS by 503, each with what else the answer says.
    """

    full: Mapping[str, build.Extra] = {}

    @asynccontextmanager
    async def filled(self, address: str, *, retry_after: str = "") -> AsyncIterator[None]:
        """One address answers OPTIONS by 503 meanwhile, with Retry-After or without (OPT-10)."""
        said = (("Retry-After", retry_after),) if retry_after else ()
        before = self.full
        self.full = {**before, address: said}
        try:
            yield
        finally:
            self.full = before
