"""The asyncio client: one UDP socket, any number of questions at once.

The same shell as `client`, for programs that live in an event loop. Answers find their question
by the cookie, so questions do not wait for each other.
"""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import Self, TypeVar, cast

from rtpengine_ng import errors, exchange, messages
from rtpengine_ng.messages import replies, requests

R = TypeVar("R", bound=replies.Reply)


class AsyncClient(asyncio.DatagramProtocol):
    """Asks one RTPEngine from an event loop; an async context manager.

    Make it with `connect`. A question that is cancelled is forgotten; its late answer is passed
    over. The limits of trust are the ones of `client.Client`.
    """

    def __init__(self, where: str, pauses: tuple[float, ...]) -> None:
        self._where = where
        self._pauses = pauses
        self._random = os.urandom(8)
        self._asked = 0
        self._waiting: dict[bytes, tuple[exchange.Exchange, asyncio.Future[bytes]]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._reason = ""
        self._closed = asyncio.Event()

    @classmethod
    async def connect(
        cls, host: str, port: int, *, pauses: tuple[float, ...] = exchange.PAUSES
    ) -> Self:
        """Open the socket towards the daemon; nothing is sent yet.

        Raises:
            NoAnswer: The name cannot be resolved or the network has no way there.
        """
        where = f"{host} port {port}"
        loop = asyncio.get_running_loop()
        try:
            _, client = await loop.create_datagram_endpoint(
                lambda: cls(where, pauses), remote_addr=(host, port)
            )
        except OSError as error:
            raise errors.NoAnswer(f"cannot reach {where}: {error}") from error
        return client

    async def ask(self, request: requests.Request[R]) -> R:
        """Ask and wait; at most the sum of the pauses (2.75 s unless said otherwise).

        Raises:
            LocalProtocolError: The request cannot be written; nothing was sent.
            NoAnswer: Nothing came back, or the client is closed.
            Refused: The daemon said no; LoadLimit when it is full.
            RemoteProtocolError: What came back with our cookie is no answer.
        """
        payload = messages.write_request(request)
        self._asked += 1
        cookie = exchange.make_cookie(self._random, self._asked)
        asked = exchange.Exchange(cookie, payload, self._pauses)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[cookie] = (asked, answer)
        try:
            return messages.read_reply(request, await self._exchange(asked, answer))
        finally:
            del self._waiting[cookie]

    async def close(self) -> None:
        """Close the socket; questions under way end as NoAnswer. Closing twice is allowed."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _exchange(self, asked: exchange.Exchange, answer: asyncio.Future[bytes]) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            try:
                datagram = asked.datagram_due(loop.time())
            except errors.NoAnswer as silent:
                raise self._no_answer(silent.sends) from None
            if datagram is not None:
                self._send(datagram, asked)
            await asyncio.wait([answer], timeout=max(0.0, asked.timer() - loop.time()))
            if answer.cancelled():
                raise self._no_answer(asked.sends)
            if answer.done():
                return answer.result()

    def _send(self, datagram: bytes, asked: exchange.Exchange) -> None:
        if self._transport is None or self._transport.is_closing():
            self._reason = "the client is closed"
            raise self._no_answer(asked.sends - 1)
        self._transport.sendto(datagram)

    def _no_answer(self, sends: int) -> errors.NoAnswer:
        why = f" ({self._reason})" if self._reason else ""
        return errors.NoAnswer(
            f"{self._where}: no answer after {sends} sends{why}", sends=sends, reason=self._reason
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop: the socket is open."""
        # No isinstance: the transports of Python 3.11 do not all derive from their interface.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop: the socket is closed, so nobody gets an answer any more."""
        self._reason = str(exc) if exc is not None else "the client is closed"
        for _, answer in self._waiting.values():
            answer.cancel()
        self._closed.set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002 - asyncio calls it so
        """Called by the event loop: give the answer to the question that has its cookie."""
        found = self._waiting.get(data.partition(b" ")[0])
        if found is None:
            return
        asked, answer = found
        payload = asked.receive(data)
        if payload is not None and not answer.done():
            self._reason = ""
            answer.set_result(payload)

    def error_received(self, exc: Exception) -> None:
        """Called by the event loop: nobody listens there, perhaps not yet; keep for NoAnswer."""
        self._reason = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
