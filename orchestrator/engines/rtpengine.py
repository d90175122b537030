"""RTPEngine in its own words; the door to rtpengine_ng."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import rtpengine_ng as ng
from orchestrator import errors
from orchestrator.host import process

_VERSION = re.compile(r"Version: (\d+)\.(\d+)")
_PAUSES = (0.2, 0.3, 0.5)

R = TypeVar("R", bound=ng.Reply)
V = TypeVar("V")


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
