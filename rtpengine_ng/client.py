"""The blocking client: one UDP socket, one question at a time.

The shell around `exchange`: it owns the socket, the clock and the cookies, and decides nothing.
"""

from __future__ import annotations

import os
import socket
import time
from types import TracebackType
from typing import Self, TypeVar

from rtpengine_ng import errors, exchange, messages
from rtpengine_ng.messages import replies, requests

R = TypeVar("R", bound=replies.Reply)

_ROOM = 65_536
"""More than any datagram holds, so that none is cut."""


class Client:
    """Asks one RTPEngine, waiting for each answer; a context manager.

    Not for use by two threads at once; make one for each. The socket is connected, so only the
    daemon's address is heard. None of the ng transports has authentication: loopback or a
    private control network only (engines.md section 6).

    Args:
        host: Address or name of the daemon (option ``listen-ng``), IPv4 or IPv6.
        port: Its UDP port.
        pauses: Seconds to wait after each send; their number is the number of sends.

    Raises:
        NoAnswer: The name cannot be resolved or the network has no way there.
    """

    def __init__(
        self, host: str, port: int, *, pauses: tuple[float, ...] = exchange.PAUSES
    ) -> None:
        self._pauses = pauses
        self._random = os.urandom(8)
        self._asked = 0
        self._where = f"{host} port {port}"
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM
            )[0]
            self._socket = socket.socket(family, kind, protocol)
        except OSError as error:
            raise errors.NoAnswer(f"cannot reach {self._where}: {error}") from error
        try:
            self._socket.connect(address)
        except OSError as error:
            self._socket.close()
            raise errors.NoAnswer(f"cannot reach {self._where}: {error}") from error

    def ask(self, request: requests.Request[R]) -> R:
        """Ask and wait; at most the sum of the pauses (2.75 s unless said otherwise).

        Raises:
            LocalProtocolError: The request cannot be written; nothing was sent.
            NoAnswer: Nothing came back. The daemon may have executed the command or not.
            Refused: The daemon said no; LoadLimit when it is full.
            RemoteProtocolError: What came back with our cookie is no answer.
        """
        payload = messages.write_request(request)
        self._asked += 1
        cookie = exchange.make_cookie(self._random, self._asked)
        asked = exchange.Exchange(cookie, payload, self._pauses)
        return messages.read_reply(request, self._exchange(asked))

    def close(self) -> None:
        """Close the socket; closing twice is allowed."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _exchange(self, asked: exchange.Exchange) -> bytes:
        """Send what is due and listen until the answer is there."""
        reason = ""
        while True:
            try:
                datagram = asked.datagram_due(time.monotonic())
            except errors.NoAnswer as silent:
                raise errors.NoAnswer(
                    f"{self._where}: {silent}" + (f" ({reason})" if reason else ""),
                    sends=silent.sends,
                    reason=reason,
                ) from None
            # A refused port is reported at the next call on the socket; the daemon may be just
            # starting, so it costs the pause and not the question.
            try:
                if datagram is not None:
                    self._socket.send(datagram)
                payload = self._listen(asked)
            except OSError as error:
                reason = error.strerror or str(error)
                _wait_until(asked.timer())
                continue
            if payload is not None:
                return payload

    def _listen(self, asked: exchange.Exchange) -> bytes | None:
        """Return our answer, or None when the next send is due."""
        while (left := asked.timer() - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                datagram = self._socket.recv(_ROOM)
            except TimeoutError:
                return None
            payload = asked.receive(datagram)
            if payload is not None:
                return payload
        return None


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
