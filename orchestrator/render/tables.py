"""The htables as values: a table is a name and rows."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Row(NamedTuple):
    """One entry of an htable."""

    key: str
    value: str


class Block(NamedTuple):
    """Entries that have one value: there may be a million, which are never taken one by one."""

    value: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One htable and what is in it; Kamailio gives it 2 ** bits slots.

    Attributes:
        name: Its name.
        rows: Entries, sorted by key.
        secret: Whether only the engine's user may read it.
        bits: Two to the power of so many slots.
        blocks: More entries, sorted by value, and each block by key.
    """

    name: str
    rows: tuple[Row, ...]
    secret: bool = False
    bits: int = 10
    blocks: tuple[Block, ...] = ()

    def entries(self) -> dict[str, str]:
        """All of it, by key."""
        found = dict(self.rows)
        for value, keys in self.blocks:
            found |= dict.fromkeys(keys, value)
        return found


SEAL = "_digest"
"""The key of the row in which a sealed table carries its digest."""


def sealed(
    name: str,
    entries: Mapping[str, str],
    *,
    bits: int,
    owned: Mapping[str, Collection[str]] | None = None,
) -> Table:
    """Return a table that grows with the site: it carries the digest of its rows.

    Args:
        name: Its name.
        entries: Its rows; no key may be :data:`SEAL`.
        bits: Kamailio gives it two to the power of so many slots when it starts.
        owned: More keys, by the value that all of them have.
    """
    rows = [Row(key, entries[key]) for key in sorted(entries)]
    blocks = tuple(
        Block(value, tuple(sorted(keys))) for value, keys in sorted((owned or {}).items()) if keys
    )
    told = hashlib.sha256("".join([f"{key}\0{value}\n" for key, value in rows]).encode())
    for value, keys in blocks:
        told.update("\0".join((value, *keys, "\n")).encode())
    seal = Row(SEAL, told.hexdigest()[:32])
    bisect.insort(rows, seal)
    return Table(name=name, rows=tuple(rows), bits=bits, blocks=blocks)


def table(name: str, entries: Mapping[str, str], *, secret: bool = False) -> Table:
    """Return the table of these entries."""
    rows = tuple(Row(key=key, value=entries[key]) for key in sorted(entries))
    return Table(name=name, rows=rows, secret=secret)


def params(values: Iterable[tuple[str, str]]) -> str:
    """Return ``key=value;key=value`` as Kamailio's {param.value,key} reads it.

    Raises:
        ValueError: A value would be read as something else.
    """
    parts = []
    for key, value in values:
        if not value or set(value) & set(";=\"' \t,"):
            raise ValueError(f"{value!r} cannot stand in a parameter")
        parts.append(f"{key}={value}")
    return ";".join(parts)
