"""Tables that are too large to be told whole: changed row by row, and known by their seal.

Such a table carries its own digest as a row. A reload swaps the table as a whole, the seal with
it; a change of single rows writes the seal last. So whoever finds the seal, and as many rows as
there must be, has found the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.engines import kamailio, kamailio_rpc
from orchestrator.render import tables


def holds(rpc: kamailio_rpc.Rpc, table: str, seal: str, rows: int) -> bool:
    """Whether Kamailio holds the table that has this seal and so many rows, the seal among them.

    Raises:
        EngineSilent: Kamailio does not answer.
    """
    if kamailio.table_value(rpc, table, tables.SEAL) != seal:
        return False
    told = rpc.call("htable.stats")
    counts = [
        entry.get("all")
        for entry in (told if isinstance(told, list) else [told])
        if isinstance(entry, dict) and entry.get("name") == table
    ]
    return counts == [rows]


def change(
    rpc: kamailio_rpc.Rpc, table: str, rows: Mapping[str, str], gone: Iterable[str], seal: str
) -> None:
    """Set rows, then take others away, then say by the seal that it is done.

    Raises:
        EngineSilent: Kamailio does not answer; the table has its old seal, or none that fits.
    """
    for key, value in rows.items():
        rpc.call("htable.sets", table, key, value)
    for key in gone:
        rpc.call("htable.delete", table, key)
    rpc.call("htable.sets", table, tables.SEAL, seal)
