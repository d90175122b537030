"""The htables as values: a table is a name and rows, sorted by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of an htable."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Table:
    """One htable and what is in it, sorted by key."""

    name: str
    rows: tuple[Row, ...]
    secret: bool = False


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
