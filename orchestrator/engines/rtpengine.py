"""RTPEngine over its ng protocol: whether it answers, and what it carries."""

from __future__ import annotations

import json
import re
import secrets
import socket
from typing import Any

from orchestrator import errors
from orchestrator.host import process

_VERSION = re.compile(r"Version: (\d+)\.(\d+)")


def probe_version(root: process.EngineRoot | None) -> tuple[int, int]:
    """Find out which RTPEngine is installed, on this machine or in an engine root.

    Raises:
        HostError: It is missing, or does not tell its version.
    """
    ran = process.run(["rtpengine", "--version"], timeout=10, root=root)
    match = _VERSION.search(f"{ran.out}\n{ran.err}")
    if match is None:
        raise errors.HostError(
            "rtpengine --version did not tell its version",
            hint=f"run it by hand: it said {(ran.out or ran.err).strip()[:200]!r}",
        )
    return int(match[1]), int(match[2])


class Rtpengine:
    """One running RTPEngine.

    Args:
        address: Where it listens for ng: host and UDP port.
        timeout: Seconds until a question is given up.
    """

    def __init__(self, address: tuple[str, int], timeout: float = 1.0) -> None:
        self._address = address
        self._timeout = timeout

    def ping(self) -> None:
        """Ask whether it is there.

        Raises:
            EngineSilent: No answer in time, or nobody listens there.
            EngineRefused: It answered something else.
        """
        self._ask("ping", "pong")

    def sessions(self) -> int:
        """How many calls it carries now, foreign ones included."""
        answer = self._ask("statistics", "ok")
        total = answer["statistics"]["currentstatistics"]["sessionstotal"]
        return int(total)

    def _ask(self, command: str, wanted: str) -> Any:
        cookie = secrets.token_hex(6).encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(self._timeout)
            try:
                asking.connect(self._address)
                asking.send(cookie + b" " + json.dumps({"command": command}).encode())
                got = asking.recv(65535)
            except OSError as error:
                raise errors.EngineSilent(f"RTPEngine silent: {error}") from error
        return json.loads(got.partition(b" ")[2])
