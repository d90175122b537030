"""Break the world on purpose, for as long as a story wants; whatever ends it, it is whole again.

Each of these is an async context manager, to be used in a story::

    async with told.lab.trouble.silent(addresses.CARRIER_A):
        ...

What an actor itself can do wrong (close its port, hear and say nothing, close every connection
after each transaction) it does itself: see :mod:`orchestrator.lab.endpoint`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from orchestrator.host import network
from orchestrator.lab import addresses

_MEMORY = ("netfilter/nf_conntrack_udp_timeout", "netfilter/nf_conntrack_udp_timeout_stream")
"""How long a router remembers who asked whom: before an answer, and after some."""


class Ground(Protocol):
    """What is needed of the world."""

    def nft(self, netns: str, commands: str) -> None:
        """Give commands to the packet filter of a namespace."""

    def rename(self, changes: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Let names lead elsewhere; what they led to before."""


class Trouble:
    """The troubles a story can make."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def silent(self, address: str) -> AsyncIterator[None]:
        """Nothing reaches *address* and nothing leaves it, and nobody is told: a machine down."""
        rules = f"""
          chain in {{
            type filter hook input priority filter; ip daddr {address} drop
          }}
          chain out {{
            type filter hook output priority filter; ip saddr {address} drop
          }}
        """
        async with self._filtered(address, rules):
            yield

    @asynccontextmanager
    async def refusing(self, address: str) -> AsyncIterator[None]:
        """*address* refuses all that comes, at once: ICMP for datagrams, a reset for TCP."""
        rules = f"""
          chain in {{
            type filter hook input priority filter;
            ip daddr {address} meta l4proto tcp reject with tcp reset
            ip daddr {address} reject with icmp port-unreachable
          }}
        """
        async with self._filtered(address, rules):
            yield

    @asynccontextmanager
    async def names(self, changes: Mapping[str, tuple[str, ...]]) -> AsyncIterator[None]:
        """DNS gives other addresses for these names; without addresses a name does not exist.

        Who has asked shortly before goes by the old answer for up to five seconds (EP-10).
        """
        before = await asyncio.to_thread(self._ground.rename, changes)
        try:
            yield
        finally:
            await asyncio.to_thread(self._ground.rename, before)

    @asynccontextmanager
    async def forgetful_router(self, seconds: int) -> AsyncIterator[None]:
        """The router at home forgets a way that nothing passed for *seconds* (RFC 4787)."""
        router = addresses.Namespace.ROUTER
        before = [
            await asyncio.to_thread(network.tune, router, name, str(seconds)) for name in _MEMORY
        ]
        try:
            yield
        finally:
            for name, value in zip(_MEMORY, before, strict=True):
                await asyncio.to_thread(network.tune, router, name, value)

    @asynccontextmanager
    async def _filtered(self, address: str, rules: str) -> AsyncIterator[None]:
        netns = namespace_of(address)
        table = f"inet trouble{next(self._numbers)}"
        await asyncio.to_thread(self._ground.nft, netns, f"table {table} {{{rules}}}")
        try:
            yield
        finally:
            await asyncio.to_thread(self._ground.nft, netns, f"delete table {table}")


def namespace_of(address: str) -> str:
    """The namespace an address of the lab lives in; KeyError when there is no such address."""
    homes = {known: place.namespace for place in addresses.PLACES for known in place.addresses}
    return homes[address]
