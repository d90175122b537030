"""How much of the running Kamailio is in use: transactions, connections, memory, table rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator import plan
from orchestrator.engines import kamailio_rpc


@dataclass(frozen=True, slots=True)
class Load:
    """What Kamailio holds at one moment.

    Attributes:
        transactions: Transactions it knows, those that only wait for late messages included.
        unfreed: Transactions whose memory was not given back yet.
        placed: All transactions since it started.
        connections: TCP and TLS connections.
        shared: Bytes of shared memory in use, as its allocator counts them.
        private: Bytes of private memory in use, by process: ``4 udp receiver child=3 ...``.
        rows: Rows in each table that lives in memory.
    """

    transactions: int
    unfreed: int
    placed: int
    connections: int
    shared: int
    private: Mapping[str, int]
    rows: Mapping[str, int]


def sees_media(rpc: kamailio_rpc.Rpc) -> bool:
    """Whether Kamailio takes its RTPEngine for alive; before 6.0 it does not say, that is yes."""
    result = rpc.call("rtpengine.show", "all")
    return not any(
        isinstance(node, dict) and node.get("active") is False
        for node in (result if isinstance(result, list) else [result])
    )


def shared_memory(rpc: kamailio_rpc.Rpc) -> plan.Memory:
    """How much of its shared memory Kamailio counts as used.

    Raises:
        EngineSilent: No answer in time.
        EngineRefused: The answer is not what both generations give.
    """
    told = _table(rpc.call("core.shmmem"))
    return plan.Memory(total=_number(told, "total"), used=_number(told, "real_used"))


def read_load(rpc: kamailio_rpc.Rpc) -> Load:
    """Ask the running Kamailio.

    Raises:
        EngineSilent: No answer in time.
        EngineRefused: An answer is not what both generations give.
    """
    transactions = _table(rpc.call("tm.stats"))
    memory = _table(rpc.call("core.shmmem"))
    connections = _table(rpc.call("core.tcp_info"))
    return Load(
        # "waiting" counts those of "current" that are answered and wait for late messages.
        transactions=_number(transactions, "current"),
        unfreed=_number(transactions, "created") - _number(transactions, "freed"),
        placed=_number(transactions, "created"),
        connections=_number(connections, "opened_connections"),
        shared=_number(memory, "used"),
        private={
            f"{entry.get('entry')} {entry.get('desc')}": _number(entry, "used")
            for entry in _tables(rpc.call("pkg.stats"))
        },
        rows={
            str(entry.get("name")): _number(entry, "all")
            for entry in _tables(rpc.call("htable.stats"))
        },
    )


def open_transactions(rpc: kamailio_rpc.Rpc) -> int:
    """How many transactions have no final answer yet: calls that ring, and short ones.

    Raises:
        EngineSilent: No answer in time.
        EngineRefused: An answer is not what both generations give.
    """
    told = _table(rpc.call("tm.stats"))
    return max(0, _number(told, "current") - _number(told, "waiting"))


def _table(told: kamailio_rpc.Json) -> Mapping[str, kamailio_rpc.Json]:
    return told if isinstance(told, dict) else {}


def _tables(told: kamailio_rpc.Json) -> list[Mapping[str, kamailio_rpc.Json]]:
    return [_table(entry) for entry in (told if isinstance(told, list) else [told])]


def _number(told: Mapping[str, kamailio_rpc.Json], name: str) -> int:
    value = told.get(name)
    if not isinstance(value, int):
        raise kamailio_rpc.unexpected(name, told)
    return value
