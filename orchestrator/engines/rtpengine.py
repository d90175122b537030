"""RTPEngine in its own words; the door to rtpengine_ng."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import rtpengine_ng as ng
from orchestrator import errors
from orchestrator.host import process

_VERSION = re.compile(r"Version: (\d+)\.(\d+)")
_PAUSES = (0.2, 0.3, 0.5)

_CUT_OFF = (
    "timeoutsessions",
    "silenttimeoutsessions",
    "finaltimeoutsessions",
    "offertimeoutsessions",
    "forcedterminatedsessions",
)

R = TypeVar("R", bound=ng.Reply)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Load:
    """How much of a running RTPEngine is in use at one moment.

    Attributes:
        sessions: Calls it carries.
        ports: UDP ports it holds, on all interfaces.
        calls: Calls since it started.
        cut_off: Those of them that nobody deleted: they ran into a time limit.
    """

    sessions: int
    ports: int
    calls: int
    cut_off: int


def probe_version(root: process.EngineRoot | None) -> tuple[int, int]:
    """Find out which RTPEngine is installed, on this machine or in an engine root.

    Raises:
        HostError: It is missing, or does not tell its version.
    """
    ran = process.run(["rtpengine", "--config-file=none", "--version"], timeout=10, root=root)
    match = _VERSION.search(f"{ran.out}\n{ran.err}")
    if match is None:
        raise errors.HostError(
            "rtpengine did not tell its version",
            hint=f"run it by hand: it said {(ran.out or ran.err).strip()[:200]!r}",
        )
    return int(match[1]), int(match[2])


class Rtpengine:
    """One running RTPEngine.

    Args:
        host: Where it listens for ng.
        port: The UDP port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def ping(self, patience: float = sum(_PAUSES)) -> None:
        """Ask whether it is there; waits for at most ``patience`` seconds.

        Raises:
            EngineSilent: No answer in time, or nobody listens there.
            EngineRefused: It answered something else.
        """
        self._ask(ng.Ping(), (patience,), lambda pong: pong)

    def sessions(self) -> int:
        """How many calls it carries now.

        Raises:
            EngineSilent: No answer in time, or nobody listens there.
            EngineRefused: It answered something else.
        """
        return self._ask(ng.Statistics(), _PAUSES, lambda told: told.sessions)

    def load(self) -> Load:
        """How much of it is in use.

        Raises:
            EngineSilent: No answer in time, or nobody listens there.
            EngineRefused: It answered something else.
        """
        return self._ask(ng.Statistics(), _PAUSES, _load_of)

    def _ask(
        self, question: ng.Request[R], pauses: tuple[float, ...], read: Callable[[R], V]
    ) -> V:
        """Ask, and read from the reply what is wanted: a reply may lack it."""
        try:
            with ng.Client(self._host, self._port, pauses=pauses) as client:
                return read(client.ask(question))
        except ng.NoAnswer as silent:
            raise errors.EngineSilent(
                f"RTPEngine does not answer: {silent}",
                hint="see whether it runs, and its log",
            ) from silent
        except ng.Refused as refusal:
            raise errors.EngineRefused(
                f"RTPEngine refused {question.command}", words=refusal.words
            ) from refusal
        except ng.NgError as error:
            raise errors.EngineRefused(
                f"RTPEngine's answer to {question.command} makes no sense", words=str(error)
            ) from error


def _load_of(told: ng.StatisticsReply) -> Load:
    interfaces = told.statistics.get("interfaces")
    totals = told.statistics.get("totalstatistics")
    return Load(
        sessions=told.sessions,
        ports=sum(
            _number(_group(interface, "ports"), "used")
            for interface in (interfaces if isinstance(interfaces, tuple) else ())
        ),
        calls=_number(totals, "managedsessions"),
        cut_off=sum(_number(totals, name) for name in _CUT_OFF),
    )


def _group(told: object, name: str) -> object:
    return told.get(name) if isinstance(told, Mapping) else None


def _number(told: object, name: str) -> int:
    value = _group(told, name)
    if not isinstance(value, int):
        raise ng.RemoteProtocolError(f"statistics without {name}")
    return value
