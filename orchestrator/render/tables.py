"""The htables as values: a table is a name and rows, sorted by key."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Row(NamedTuple):
    """One entry of an htable; there may be a million, and tuples are made fast."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Table:
    """One htable and what is in it, sorted by key; Kamailio gives it 2 ** bits slots."""

    name: str
    rows: tuple[Row, ...]
    secret: bool = False
    bits: int = 10


SEAL = "_digest"
"""The key of the row in which a sealed table carries its digest."""


def sealed(name: str, entries: Mapping[str, str], *, bits: int) -> Table:
    """Return a table that grows with the site: it carries the digest of its rows.

    Args:
        name: Its name.
        entries: Its rows; no key may be :data:`SEAL`.
        bits: Kamailio gives it two to the power of so many slots when it starts.
    """
    rows = [Row(key, entries[key]) for key in sorted(entries)]
    told = "".join([f"{key}\0{value}\n" for key, value in rows])
    seal = Row(SEAL, hashlib.sha256(told.encode()).hexdigest()[:32])
    bisect.insort(rows, seal)
    return Table(name=name, rows=tuple(rows), bits=bits)


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
