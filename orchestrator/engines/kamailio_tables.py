"""Tables that are too large to be told whole: changed row by row, and known by their seal.

Such a table carries its own digest as a row. A reload swaps the table as a whole, the seal with
it; a change of single rows writes the seal last. So whoever finds the seal, and as many rows as
there must be, has found the table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from orchestrator.engines import kamailio, kamailio_rpc
from orchestrator.render import routes, tables


def counts(rpc: kamailio_rpc.Rpc) -> dict[str, int]:
    """How many rows each table of Kamailio's has, the seal among them: one question for all.

    Raises:
        EngineSilent: Kamailio does not answer.
    """
    told = rpc.call("htable.stats")
    return {
        str(entry.get("name")): int(str(entry.get("all", 0)))
        for entry in (told if isinstance(told, list) else [told])
        if isinstance(entry, dict)
    }


def seal_of(rpc: kamailio_rpc.Rpc, table: str) -> str | None:
    """The seal that the table carries in Kamailio; None when it carries none.

    Raises:
        EngineSilent: Kamailio does not answer.
    """
    return kamailio.table_value(rpc, table, tables.SEAL)


def change(
    rpc: kamailio_rpc.Rpc,
    table: str,
    rows: Mapping[str, str],
    gone: Collection[str] = (),
    seal: str = "",
) -> None:
    """Set rows, then take others away, then say by the seal that it is done, if it is.

    Raises:
        EngineSilent: Kamailio does not answer; the table has its old seal, or none that fits.
    """
    named = [key for key in (*rows, *gone) if routes.is_about_lengths(key)]
    held = {key: kamailio.table_value(rpc, table, key) or "" for key in named}
    for key, value in in_order(rows, gone, held):
        if value is None:
            rpc.call("htable.delete", table, key)
        else:
            rpc.call("htable.sets", table, key, value)
    if seal:
        rpc.call("htable.sets", table, tables.SEAL, seal)


def in_order(
    rows: Mapping[str, str], gone: Iterable[str], held: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    """Keys with the value each is to have, None for none, so that no call misses a row it needs.

    A call looks for beginnings of those lengths only that a row names: a new length is named
    before there are rows of it, an old one as long as there are some.

    Args:
        rows: Those to set.
        gone: Keys of those to take away.
        held: What the rows about lengths say now.
    """
    lengths = {key: rows.get(key, "") for key in held}
    joined = {key: routes.joined_widths(held[key], value) for key, value in lengths.items()}
    # As a rule lengths come or go, not both: then one of the two is what is there already.
    yield from ((key, value) for key, value in joined.items() if value != held[key])
    yield from ((key, value) for key, value in rows.items() if key not in lengths)
    yield from ((key, None) for key in gone if key not in lengths)
    yield from ((key, value or None) for key, value in lengths.items() if value != joined[key])
