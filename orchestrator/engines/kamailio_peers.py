"""What peers of Microsoft's showed Kamailio over TLS; its table ``peers`` keeps it for a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from orchestrator import errors
from orchestrator.engines import kamailio_rpc

_TABLE = "peers"
_PARTS = 6
_NOTHING = "<null>"


class Way(StrEnum):
    """Who dialled, or that it was refused."""

    IN = "in"
    OUT = "out"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Peer:
    """What one address showed last.

    Attributes:
        way: Whether it dialled us, we dialled it, or its certificate was refused.
        address: Its address.
        time: When.
        version: Of TLS: ``TLSv1.3``.
        cipher: The suite.
        verified: Whether OpenSSL verified the chain. Of a peer that dials us it is False for
            certificates without clientAuth, good and forged (docs/decisions/0016).
        certificate: The certificate itself as PEM; empty when it showed none.
    """

    way: Way
    address: str
    time: dt.datetime
    version: str
    cipher: str
    verified: bool
    certificate: bytes


def peers(rpc: kamailio_rpc.Rpc) -> tuple[Peer, ...]:
    """Everything that is remembered, sorted; nothing from a Kamailio that has no such table.

    Raises:
        EngineSilent: Kamailio does not answer.
    """
    try:
        told = rpc.call("htable.dump", _TABLE)
    except errors.EngineRefused:
        return ()
    found = (_peer(str(row.get("name")), str(row.get("value"))) for row in _rows(told))
    return tuple(sorted(filter(None, found), key=lambda each: (each.way, each.address)))


def _rows(told: kamailio_rpc.Json) -> Iterator[dict[str, kamailio_rpc.Json]]:
    for entry in told if isinstance(told, list) else []:
        held = entry.get("slot") if isinstance(entry, dict) else None
        yield from (
            row for row in (held if isinstance(held, list) else []) if isinstance(row, dict)
        )


def _peer(key: str, value: str) -> Peer | None:
    """One row; None for what is none of ours."""
    way, parts = key.partition("/")[0], value.split(";", _PARTS - 1)
    if way not in tuple(Way) or len(parts) != _PARTS or not parts[0].isdigit():
        return None
    time, address, version, cipher, verified, pem = parts
    return Peer(
        way=Way(way),
        address=address,
        time=dt.datetime.fromtimestamp(int(time), dt.UTC),
        version=version,
        cipher=cipher,
        verified=verified == "1",
        certificate=b"" if pem == _NOTHING else pem.encode("ascii", "replace"),
    )
