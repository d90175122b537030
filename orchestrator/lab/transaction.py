"""Client and server transactions of RFC 3261 section 17, with the timers UDP needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orchestrator.lab import journal, transport
from orchestrator.sip import build, message

T1 = 0.5
"""Seconds until the first resend (RFC 3261 section 17.1.1.1)."""
T2 = 4.0
"""The longest pause between resends, in seconds."""
LIFE = 64 * T1
"""Seconds after which nobody resends any more."""

Send = Callable[[message.Request | message.Response, transport.Flow], None]


class Resend:
    """Does something again after T1, 2 T1, 4 T1 ... until stopped or LIFE is over."""

    def __init__(self, act: Callable[[], None], *, longest: float = LIFE) -> None:
        self._act = act
        self._longest = longest
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + LIFE
        self._pause = T1
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(T1, self._again)

    def stop(self) -> None:
        """Do it no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self._pause = min(self._pause * 2, self._longest)
        self._timer = None
        if self._loop.time() < self._end:
            self._timer = self._loop.call_later(self._pause, self._again)
            self._act()


class ClientTransaction:
    """One request of ours and the answers to it.

    A refusal of an INVITE is acknowledged here; a 2xx is the dialog's to acknowledge.
    """

    def __init__(
        self,
        request: message.Request,
        flow: transport.Flow,
        send: Send,
        answered: Callable[[message.Response], None] | None = None,
    ) -> None:
        self.request = request
        self.flow = flow
        self.responses: journal.Journal[message.Response] = journal.Journal()
        self._send = send
        self._answered = answered
        self._resend: Resend | None = None
        send(request, flow)
        if flow.transport == "udp":
            longest = LIFE if request.method == "INVITE" else T2
            self._resend = Resend(lambda: send(request, flow), longest=longest)

    @property
    def key(self) -> tuple[str, str]:
        """Branch and method: what a response is matched by (RFC 3261 section 17.1.3)."""
        return self.request.top_via.branch, self.request.method

    def receive(self, response: message.Response) -> None:
        """Take a response that matched."""
        if self._resend is not None and (
            response.status >= 200 or self.request.method == "INVITE"
        ):
            self._resend.stop()
        if response.status >= 300 and self.request.method == "INVITE":
            self._send(build.ack_of_refusal(self.request, response), self.flow)
        self.responses.add(response)
        if self._answered is not None:
            self._answered(response)

    async def final(self, within: float) -> message.Response:
        """The first final answer; Silence when none comes in time."""
        what = f"a final answer to {self.request.method}"
        return await self.responses.first(lambda r: r.status >= 200, within=within, what=what)

    def stop(self) -> None:
        """Stop resending."""
        if self._resend is not None:
            self._resend.stop()


class ServerTransaction:
    """One request from a peer and our answers to it.

    Attributes:
        lose_acks: How many ACKs are taken for lost on the way (SIG-9).
        acks: How many ACKs came, the lost ones included.
    """

    def __init__(self, request: message.Request, flow: transport.Flow, send: Send) -> None:
        self.request = request
        self.flow = flow
        self.last: message.Response | None = None
        self.finished = asyncio.Event()
        self.acknowledged = asyncio.Event()
        self.lose_acks = 0
        self.acks = 0
        self._send = send
        self._resend: Resend | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Branch, sent-by and method: what a resend is matched by (RFC 3261 section 17.2.3)."""
        via = self.request.top_via
        return via.branch, via.sent_by.lower(), self.request.method

    def respond(self, response: message.Response) -> None:
        """Send an answer; a final one to an INVITE is resent until the ACK comes."""
        self.last = response
        self._send(response, self.flow)
        if response.status >= 200:
            self.finished.set()
        final = response.status >= 200 and self.request.method == "INVITE"
        # A 2xx is resent on any transport, a refusal on UDP only (RFC 3261 13.3.1.4, 17.2.1).
        if final and (response.status < 300 or self.flow.transport == "udp"):
            self.stop()
            self._resend = Resend(self.repeat, longest=T2)

    def repeat(self) -> None:
        """Send the last answer again."""
        if self.last is not None:
            self._send(self.last, self.flow)

    def acknowledge(self) -> None:
        """Take an ACK."""
        self.acks += 1
        if self.acks <= self.lose_acks:
            return
        self.acknowledged.set()
        self.stop()

    def stop(self) -> None:
        """Stop resending."""
        if self._resend is not None:
            self._resend.stop()
