"""A call that stands: what both sides can do inside its dialog, and how they answer there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Protocol

from orchestrator.lab import bodies, dialog, journal, transaction
from orchestrator.sip import build, grammar, message

WITHIN = 5.0
"""Seconds within which whatever is waited for comes, in a lab on one machine."""


class Ways(Protocol):
    """What a call needs of its agent."""

    async def send_request(
        self,
        request: message.Request,
        next_hop: str,
        *,
        source: str = "",
        fresh: bool = False,
        answered: Callable[[message.Response], None] | None = None,
    ) -> transaction.ClientTransaction:
        """Send a request and follow it up."""

    async def send_ack(self, request: message.Request, next_hop: str, *, source: str = "") -> None:
        """Send the ACK of a 2xx."""

    def send_cancel(self, client: transaction.ClientTransaction) -> transaction.ClientTransaction:
        """Cancel an INVITE."""

    def adopt(self, known: Call) -> None:
        """Deliver requests inside the call's dialog to it."""

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside."""


class Part(Protocol):
    """Who describes our audio: the leg a call belongs to."""

    def answer_to(self, offer: bytes) -> bytes:
        """Our answer to an offer, or our offer when there is none; SipError when there is none."""

    def settled(self) -> None:
        """Follow what both SDPs say now."""


class Call:
    """What both sides of a call have in common.

    Attributes:
        invite: The INVITE that began it.
        dialog: The dialog of the 2xx, or None before it.
        requests: What the other side sent inside the dialog, ACK and CANCEL included.
        local_sdp: What we said last.
        remote_sdp: What they said last.
        over: Set when a side hung up.
        part: Who describes our audio; without it a re-INVITE gets our SDP again.
        answers: How requests in the dialog are answered, by method; 405 is the rest.
        allow: What Allow says when a request is refused.
        drop_acks: How many ACKs of 2xx we leave out from now on (SIG-9).
        source: The address we speak from unless somebody names another; or our usual one.
    """

    def __init__(self, ways: Ways, invite: message.Request) -> None:
        self.invite = invite
        self.dialog: dialog.Dialog | None = None
        self.requests: journal.Journal[message.Request] = journal.Journal()
        self.remote_sdp = b""
        self.local_sdp = b""
        self.over = asyncio.Event()
        self.part: Part | None = None
        self.answers = {"BYE": 200, "OPTIONS": 200, "NOTIFY": 200}
        self.allow = "INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY"
        self.drop_acks = 0
        self.source = ""
        self._early: list[dialog.Dialog] = []
        self._ways = ways
        self._inviting = False

    def holds(self, request: message.Request) -> bool:
        """True when a request of the other side belongs to a dialog of this call."""
        dialogs = (*self._early, *((self.dialog,) if self.dialog else ()))
        return any(known.holds(request) for known in dialogs)

    async def hang_up(
        self, *, source: str = "", fresh: bool = False, extra: build.Extra = ()
    ) -> message.Response:
        """Send BYE and return its answer; from another address when asked (EP-5)."""
        self.over.set()
        return await self.ask("BYE", extra=extra, source=source, fresh=fresh)

    async def ask(
        self,
        method: str,
        *,
        extra: build.Extra = (),
        body: bytes = b"",
        source: str = "",
        fresh: bool = False,
        early: dialog.Dialog | None = None,
    ) -> message.Response:
        """Send a request inside the dialog and return its final answer; a 2xx to INVITE is ACKed.

        Args:
            method: Any; ``REFER``, ``INFO`` and ``UPDATE`` too.
            extra: More headers.
            body: An SDP, unless *extra* names another Content-Type.
            source: The address to speak from (EP-5).
            fresh: Use a new connection.
            early: The dialog of an 18x to send it in, instead of the one of the 2xx.

        Raises:
            Silence: Nobody answered within ``WITHIN``.
        """
        inside = early or self.dialog
        assert inside is not None, "no dialog yet"
        request = inside.request(method, extra=extra, body=body)
        invited = partial(self._acknowledge_again, request) if method == "INVITE" else None
        client = await self._ways.send_request(
            request, inside.next_hop, source=source or self.source, fresh=fresh, answered=invited
        )
        answer = await client.final(WITHIN)
        if fresh and method == "BYE":
            client.flow.leave()  # nobody needs it any more (TLS-8)
        return answer

    async def renegotiate(
        self, body: bytes, *, extra: build.Extra = (), source: str = "", fresh: bool = False
    ) -> message.Response:
        """Send a re-INVITE and return the final answer.

        Without a body it asks for an offer, and ``part`` answers it in the ACK. An INVITE of the
        other side that crosses it is answered by 491 (RFC 3261 section 14.2).
        """
        assert self.dialog is not None, "no dialog yet"
        contact = ("Contact", self.dialog.contact)
        self._inviting = True
        try:
            answer = await self.ask(
                "INVITE", extra=(contact, *extra), body=body, source=source, fresh=fresh
            )
        finally:
            self._inviting = False
        if answer.status < 300:
            if body:
                self.local_sdp, self.remote_sdp = body, bodies.sdp_of(answer)
            if answer.contacts:
                self.dialog.target = answer.contacts[0].uri
            if self.part is not None:
                self.part.settled()
        return answer

    async def requested(
        self, method: str, *, within: float = WITHIN, after: int = 0
    ) -> message.Request:
        """The first request of that method from the other side; Silence when it does not come.

        Args:
            method: For example ``BYE``.
            within: Seconds to wait at most.
            after: Entries of ``requests`` before this index do not count.
        """
        what = f"{method} from the SBC"
        return await self.requests.first(
            lambda r: r.method == method, within=within, what=what, after=after
        )

    def take_request(self, server: transaction.ServerTransaction) -> None:
        """Answer a request in the dialog: BYE ends the call, a re-INVITE gets our SDP."""
        request = server.request
        self.requests.add(request)
        if request.method == "INVITE":
            self._take_invite(server)
        elif "100rel" in request.tokens("Require"):
            refused = (("Unsupported", "100rel"),)
            server.respond(build.response(request, 420, extra=refused))
        else:
            status = self.answers.get(request.method, 405)
            extra: build.Extra = (("Allow", self.allow),) if status == 405 else ()
            if request.method == "REFER" and self.dialog is not None:
                extra = (("Contact", self.dialog.contact),)
            server.respond(build.response(request, status, extra=extra))
        if request.method == "BYE":
            self.over.set()

    def _take_invite(self, server: transaction.ServerTransaction) -> None:
        request = server.request
        if self._inviting or self.dialog is None:
            server.respond(build.response(request, 491))
            return
        offer, answer = bodies.sdp_of(request), self.local_sdp
        try:
            if self.part is not None:
                answer = self.part.answer_to(offer)
        except grammar.SipError as error:
            reason = ("Reason", f'Q.850;cause=88;text="{error.reason}"')
            server.respond(build.response(request, 488, extra=(reason,)))
            return
        if request.contacts:
            self.dialog.target = request.contacts[0].uri
        self.local_sdp, self.remote_sdp = answer, offer or self.remote_sdp
        extra = [("Contact", self.dialog.contact)]
        expires = request.get("Session-Expires")
        if expires is not None:
            refresher = "" if "refresher" in expires else ";refresher=uac"
            extra += [("Require", "timer"), ("Session-Expires", f"{expires}{refresher}")]
        server.respond(build.response(request, 200, extra=extra, body=answer))
        if self.part is None:
            return
        if offer:
            self.part.settled()
        else:
            self._ways.spawn(self._take_answer_in_ack(len(self.requests.entries)))

    async def _take_answer_in_ack(self, after: int) -> None:
        ack = await self.requested("ACK", after=after)
        self.remote_sdp = bodies.sdp_of(ack) or self.remote_sdp
        if self.part is not None:
            self.part.settled()

    def _acknowledge_again(self, request: message.Request, answer: message.Response) -> None:
        """ACK a 2xx to our re-INVITE, each time it comes."""
        if not 200 <= answer.status < 300 or self.dialog is None:
            return
        body = b"" if request.body else self._late_answer(answer)
        ack = self.dialog.request("ACK", number=request.cseq.number, body=body)
        self._acknowledge(ack, self.dialog.next_hop)

    def _late_answer(self, answer: message.Response) -> bytes:
        """Our answer to an offer that came in a 2xx, for the ACK."""
        offer = bodies.sdp_of(answer)
        if offer and offer != self.remote_sdp and self.part is not None:
            self.local_sdp, self.remote_sdp = self.part.answer_to(offer), offer
        return self.local_sdp

    def _acknowledge(self, ack: message.Request, next_hop: str) -> None:
        if self.drop_acks:
            self.drop_acks -= 1
        else:
            self._ways.spawn(self._ways.send_ack(ack, next_hop, source=self.source))
