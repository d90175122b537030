"""Have Kamailio read TLS again, and let go of the connections made with what it read before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from orchestrator import errors
from orchestrator.engines import kamailio, kamailio_rpc


@dataclass(frozen=True, slots=True)
class Connection:
    """One TLS connection as Kamailio lists it.

    Attributes:
        id: Its number, ``$conid`` in the routing.
        peer: The other side's address.
        dialled: Whether Kamailio dialled it: it came from none of the ports Kamailio listens on.
    """

    id: int
    peer: str
    dialled: bool


def reload_tls(rpc: kamailio_rpc.Rpc, leaf: str) -> None:
    """Read TLS profiles and certificates again; never on Kamailio < 6.0.

    Every connection that stands then ends as soon as nobody waits for anything on it (TLS-7,
    record 0028). What Kamailio does not tell here costs no more than time: a connection that is
    not named now ends after the next OPTIONS on it.

    Args:
        rpc: Kamailio.
        leaf: SHA-256 of the certificate that is served from now on, as PEM text; in hex.
    """
    rpc.call("tls.reload")
    rpc.call("pv.shvSet", "certificate", "str", leaf)
    with suppress(errors.EngineError):
        _retire(rpc)


def connections(rpc: kamailio_rpc.Rpc) -> tuple[Connection, ...]:
    """Every TLS connection, those with trunks too, in the order of their numbers."""
    ports = {int(socket.rpartition(":")[2]) for socket in kamailio.read_sockets(rpc)}
    told = rpc.call("tls.list")
    return tuple(sorted(_connections(told, ports), key=lambda each: each.id))


def _connections(told: kamailio_rpc.Json, listening: set[int]) -> Iterator[Connection]:
    for held in told if isinstance(told, list) else [told]:
        if isinstance(held, dict) and "id" in held:
            number, port = int(str(held["id"])), int(str(held.get("dst_port", 0)))
            yield Connection(number, str(held.get("src_ip")).strip("[]"), port not in listening)


def _retire(rpc: kamailio_rpc.Rpc) -> None:
    """Write what the routing writes at OPTIONS (``routes/retired.cfg``), for all at once.

    One that is retired already keeps its time. The row in ``retired`` comes last: from then on
    the timer may end the connection by what the other tables say.
    """
    retired = kamailio.table_rows(rpc, "retired") or {}
    ticks = rpc.call("pv.shvGet", "tick")
    tick = int(str(ticks.get("value", 0))) if isinstance(ticks, dict) else 0
    for each in connections(rpc):
        if str(each.id) in retired:
            continue
        if each.dialled:
            rpc.call("htable.sets", "dialled", str(each.id), each.peer)
        rpc.call("htable.seti", "spoken", str(each.id), tick)
        rpc.call("htable.seti", "retired", str(each.id), int(time.time()))
