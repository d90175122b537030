"""One call as one user agent has it: ring, answer, refuse, cancel, hang up, renegotiate."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Protocol

from orchestrator.lab import dialog, journal, transaction
from orchestrator.sip import build, digest, message, uri

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


class Call:
    """What both sides of a call have in common.

    ``requests`` holds what the other side sent inside the dialog, the ACK and CANCEL included.
    """

    def __init__(self, ways: Ways) -> None:
        self.dialog: dialog.Dialog | None = None
        self.requests: journal.Journal[message.Request] = journal.Journal()
        self.remote_sdp = b""
        self.local_sdp = b""
        self.over = asyncio.Event()
        self._ways = ways

    async def hang_up(self, *, source: str = "", fresh: bool = False) -> message.Response:
        """Send BYE and return its answer; from another address when asked (EP-5)."""
        self.over.set()
        return await self.ask("BYE", source=source, fresh=fresh)

    async def ask(
        self,
        method: str,
        *,
        extra: build.Extra = (),
        body: bytes = b"",
        source: str = "",
        fresh: bool = False,
    ) -> message.Response:
        """Send a request inside the dialog and return its final answer; a 2xx to INVITE is ACKed.

        Raises:
            Silence: Nobody answered within ``WITHIN``.
        """
        assert self.dialog is not None, "no dialog yet"
        request = self.dialog.request(method, extra=extra, body=body)
        client = await self._ways.send_request(
            request, self.dialog.next_hop, source=source, fresh=fresh
        )
        answer = await client.final(WITHIN)
        if method == "INVITE" and answer.status < 300:
            await self._acknowledge(request.cseq.number)
        return answer

    async def renegotiate(self, body: bytes, *, fresh: bool = False) -> message.Response:
        """Send a re-INVITE with this SDP and return the final answer."""
        assert self.dialog is not None, "no dialog yet"
        extra = (("Contact", self.dialog.contact),)
        answer = await self.ask("INVITE", extra=extra, body=body, fresh=fresh)
        if answer.status < 300:
            self.local_sdp, self.remote_sdp = body, answer.body
        return answer

    async def requested(self, method: str, *, within: float = WITHIN) -> message.Request:
        """The first request of that method from the other side; Silence when it does not come."""
        what = f"{method} from the SBC"
        return await self.requests.first(lambda r: r.method == method, within=within, what=what)

    def take_request(self, server: transaction.ServerTransaction) -> None:
        """Answer a request in the dialog: BYE ends the call, a re-INVITE gets our SDP again."""
        request = server.request
        self.requests.add(request)
        assert self.dialog is not None
        contact = (("Contact", self.dialog.contact),)
        if request.method == "INVITE":
            server.respond(build.response(request, 200, extra=contact, body=self.local_sdp))
        elif request.method in {"BYE", "OPTIONS", "NOTIFY"}:
            server.respond(build.response(request, 200))
        else:
            server.respond(build.response(request, 405))
        if request.method == "BYE":
            self.over.set()

    async def _acknowledge(self, number: int) -> None:
        assert self.dialog is not None
        ack = self.dialog.request("ACK", number=number)
        await self._ways.send_ack(ack, self.dialog.next_hop)


class OutgoingCall(Call):
    """A call we make."""

    def __init__(
        self, ways: Ways, invite: message.Request, next_hop: str, account: digest.Account | None
    ) -> None:
        super().__init__(ways)
        self.invite = invite
        self.local_sdp = invite.body
        self.responses: journal.Journal[message.Response] = journal.Journal()
        self._next_hop = next_hop
        self._account = account
        self._passed = len(invite.listed("Record-Route"))
        self._client: transaction.ClientTransaction | None = None

    async def start(self) -> None:
        """Send the INVITE; OSError when the next hop cannot be reached."""
        self._client = await self._ways.send_request(
            self.invite, self._next_hop, answered=self._answered
        )

    async def status(self, *statuses: int, within: float = WITHIN) -> message.Response:
        """The first response with one of these codes; Silence when none comes in time."""
        what = f"{' or '.join(map(str, statuses))} to the INVITE"
        return await self.responses.first(
            lambda response: response.status in statuses, within=within, what=what
        )

    async def final(self, *, within: float = WITHIN) -> message.Response:
        """The first final answer; Silence when none comes in time."""
        return await self.responses.first(
            lambda response: response.status >= 200,
            within=within,
            what="a final answer to the INVITE",
        )

    async def cancel(self) -> message.Response:
        """Cancel and return the final answer to the INVITE, a 487 when all went well."""
        assert self._client is not None
        self._ways.send_cancel(self._client)
        return await self.final()

    def _answered(self, response: message.Response) -> None:
        if response.status in {401, 407} and self._account is not None:
            account, self._account = self._account, None
            self._ways.spawn(self._start_again(response, account))
            return
        if 200 <= response.status < 300:
            if self.dialog is None:
                self.dialog = dialog.of_answer(self.invite, response, passed=self._passed)
                self.remote_sdp = response.body
                self._ways.adopt(self)
            self._ways.spawn(self._acknowledge(self.invite.cseq.number))
        self.responses.add(response)

    async def _start_again(self, challenged: message.Response, account: digest.Account) -> None:
        self.invite = with_proof(self.invite, challenged, account)
        await self.start()


class IncomingCall(Call):
    """A call that came in; 100 is already sent.

    ``taken`` is whether somebody at this end has it in hand.
    ``front`` are headers that go on top of every answer: the Record-Route of a proxy on our side.
    """

    def __init__(self, ways: Ways, server: transaction.ServerTransaction, *, tag: str) -> None:
        super().__init__(ways)
        self.server = server
        self.invite = server.request
        self.remote_sdp = server.request.body
        self.cancelled = asyncio.Event()
        self.taken = False
        self.front: build.Extra = ()
        self._tag = tag

    def ring(self, contact: str) -> None:
        """Send 180."""
        self.server.respond(self._response(180, extra=(("Contact", contact),)))

    def answer(self, contact: str, body: bytes, *, extra: build.Extra = ()) -> None:
        """Send 200 with an SDP; SipError when the INVITE has no Contact."""
        self.local_sdp = body
        self.dialog = dialog.of_invite(self.invite, tag=self._tag, contact=contact)
        self._ways.adopt(self)
        headers = (("Contact", contact), *extra)
        self.server.respond(self._response(200, extra=headers, body=body))

    def refuse(self, status: int, *, extra: build.Extra = ()) -> None:
        """Send a final answer of 300 or more."""
        self.over.set()
        self.server.respond(self._response(status, extra=extra))

    def take_cancel(self, request: message.Request) -> None:
        """Take a CANCEL: answer the INVITE with 487 when it has no final answer yet."""
        self.requests.add(request)
        self.cancelled.set()
        if self.server.last is None or self.server.last.status < 200:
            self.refuse(487)

    def _response(
        self, status: int, *, extra: build.Extra = (), body: bytes = b""
    ) -> message.Response:
        return build.response(
            self.invite, status, tag=self._tag, front=self.front, extra=extra, body=body
        )


def with_proof(
    request: message.Request, challenged: message.Response, account: digest.Account
) -> message.Request:
    """The same request again, with the answer to a 401 or 407 (RFC 3261 section 22).

    Raises:
        SipError: The challenge is missing or not one we can answer.
    """
    proxy = challenged.status == 407
    asked = challenged.need("Proxy-Authenticate" if proxy else "WWW-Authenticate")
    value = digest.authorisation(
        digest.parse_challenge(asked),
        account,
        method=request.method,
        target=request.target,
        cnonce=secrets.token_hex(8),
    )
    number = message.CSeq(request.cseq.number + 1, request.method)
    again = request.without("Via").with_header("CSeq", str(number))
    return again.with_header("Proxy-Authorization" if proxy else "Authorization", value)


def new_call_id(host: str) -> str:
    """A fresh Call-ID."""
    return f"{secrets.token_hex(10)}@{host}"


def tagged(address: str, display: str = "") -> uri.NameAddr:
    """An address of ours with a fresh tag."""
    return uri.NameAddr(address, display).tagged(secrets.token_hex(5))
