"""One call as one user agent has it: how it begins, on the caller's and on the callee's side."""

from __future__ import annotations

import asyncio
import secrets

from orchestrator.lab import bodies, dialog, journal, standing, transaction
from orchestrator.sip import build, digest, message, uri

WITHIN = standing.WITHIN
Call = standing.Call
Ways = standing.Ways


class OutgoingCall(Call):
    """A call we make.

    Attributes:
        responses: All answers to the INVITE, in order.
        dialogs: The dialogs its answers began, by To tag, each with its latest answer.
    """

    def __init__(
        self, ways: Ways, invite: message.Request, next_hop: str, account: digest.Account | None
    ) -> None:
        super().__init__(ways, invite)
        self.local_sdp = bodies.sdp_of(invite)
        self.responses: journal.Journal[message.Response] = journal.Journal()
        self.dialogs: dict[str, dialog.Dialog] = {}
        self._next_hop = next_hop
        self._account = account
        self._passed = len(invite.listed("Record-Route"))
        self._client: transaction.ClientTransaction | None = None

    async def start(self) -> None:
        """Send the INVITE; OSError when the next hop cannot be reached."""
        self._client = await self._ways.send_request(
            self.invite, self._next_hop, source=self.source, answered=self._answered
        )

    async def repeat(
        self, *, source: str = "", fresh: bool = True, tag: str = ""
    ) -> transaction.ClientTransaction:
        """Send the same INVITE with another branch, as another datacenter does (SIG-27, SIG-33).

        With another From tag it is another call with this Call-ID. What is answered to it is in
        the transaction only, and belongs to no dialog of ours.
        """
        again = self.invite
        if tag:
            again = again.with_header("From", str(again.from_.tagged(tag)))
        return await self._ways.send_request(again, self._next_hop, source=source, fresh=fresh)

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

    def send_cancel(self) -> transaction.ClientTransaction:
        """Send CANCEL and wait for nothing: an answer may cross it."""
        assert self._client is not None
        return self._ways.send_cancel(self._client)

    async def cancel(self) -> message.Response:
        """Cancel and return the final answer to the INVITE, a 487 when all went well."""
        self.send_cancel()
        return await self.final()

    async def acknowledge(self) -> None:
        """Send the ACK of the 2xx after all: one that was left out by ``drop_acks``."""
        assert self.dialog is not None
        ack = self.dialog.request("ACK", number=self.invite.cseq.number)
        await self._ways.send_ack(ack, self.dialog.next_hop, source=self.source)

    @property
    def tags(self) -> tuple[str, ...]:
        """The different To tags of 18x and 2xx, in order (MED-9)."""
        found = (r.to.tag for r in self.responses.entries if 100 < r.status < 300)
        return tuple(dict.fromkeys(tag for tag in found if tag))

    def _answered(self, response: message.Response) -> None:
        if response.status in {401, 407} and self._account is not None:
            account, self._account = self._account, None
            self._ways.spawn(self._start_again(response, account))
            return
        if 100 < response.status < 300 and response.to.tag and response.contacts:
            self._note_dialog(response)
        if 200 <= response.status < 300:
            self._take_answer(response)
        self.responses.add(response)

    def _note_dialog(self, response: message.Response) -> None:
        tag = response.to.tag or ""
        if tag in self.dialogs:
            return
        begun = dialog.of_answer(self.invite, response, passed=self._passed)
        self.dialogs[tag] = begun
        self._early.append(begun)
        self._ways.adopt(self)

    def _take_answer(self, response: message.Response) -> None:
        begun = dialog.of_answer(self.invite, response, passed=self._passed)
        if self.dialog is None:
            known = self.dialogs.get(response.to.tag or "")
            begun.number = max(begun.number, known.number if known else 0)
            self.dialog = begun
            self._ways.adopt(self)
            if self.local_sdp:
                self.remote_sdp = bodies.sdp_of(response) or self.remote_sdp
        body = b"" if bodies.sdp_of(self.invite) else self._late_answer(response)
        ack = begun.request("ACK", number=self.invite.cseq.number, body=body)
        self._acknowledge(ack, begun.next_hop)

    async def _start_again(self, challenged: message.Response, account: digest.Account) -> None:
        self.invite = with_proof(self.invite, challenged, account)
        await self.start()


class IncomingCall(Call):
    """A call that came in; 100 is already sent.

    Attributes:
        server: The INVITE's transaction; ``server.lose_acks`` ACKs count as lost.
        taken: Whether somebody at this end has it in hand.
        front: Headers on top of every answer: the Record-Route of a proxy on our side.
        heeds_cancel: Whether a CANCEL is followed by 487; a 200 may cross it.
    """

    def __init__(self, ways: Ways, server: transaction.ServerTransaction, *, tag: str) -> None:
        super().__init__(ways, server.request)
        self.server = server
        self.remote_sdp = bodies.sdp_of(server.request)
        self.cancelled = asyncio.Event()
        self.taken = False
        self.front: build.Extra = ()
        self.heeds_cancel = True
        self._tag = tag

    def progress(
        self,
        status: int,
        contact: str,
        *,
        body: bytes = b"",
        tag: str = "",
        extra: build.Extra = (),
    ) -> None:
        """Send an 18x, with an SDP for early media, and as another fork under another tag."""
        begun = dialog.of_invite(self.invite, tag=tag or self._tag, contact=contact)
        if not any(known.local.tag == begun.local.tag for known in self._early):
            self._early.append(begun)
            self._ways.adopt(self)
        if body:
            self.local_sdp = body
        headers = (("Contact", contact), *extra)
        self.server.respond(self._response(status, extra=headers, body=body, tag=tag))

    def answer(self, contact: str, body: bytes, *, extra: build.Extra = (), tag: str = "") -> None:
        """Send 200 with an SDP; SipError when the INVITE has no Contact."""
        self.local_sdp = body
        self.dialog = dialog.of_invite(self.invite, tag=tag or self._tag, contact=contact)
        self._ways.adopt(self)
        headers = (("Contact", contact), *extra)
        self.server.respond(self._response(200, extra=headers, body=body, tag=tag))

    def refuse(self, status: int, *, extra: build.Extra = (), tag: str = "") -> None:
        """Send a final answer of 300 or more."""
        self.over.set()
        self.server.respond(self._response(status, extra=extra, tag=tag))

    def take_cancel(self, request: message.Request) -> None:
        """Take a CANCEL: answer the INVITE with 487 when it has no final answer yet."""
        self.requests.add(request)
        self.cancelled.set()
        open_ = self.server.last is None or self.server.last.status < 200
        if open_ and self.heeds_cancel:
            self.refuse(487)

    def _response(
        self, status: int, *, extra: build.Extra = (), body: bytes = b"", tag: str = ""
    ) -> message.Response:
        return build.response(
            self.invite, status, tag=tag or self._tag, front=self.front, extra=extra, body=body
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


def names_of(known: Call | None) -> tuple[str, str] | None:
    """The URIs of our side and of the other side in a call's dialog."""
    if known is None or known.dialog is None:
        return None
    return known.dialog.local.uri, known.dialog.remote.uri


def new_call_id(host: str) -> str:
    """A fresh Call-ID."""
    return f"{secrets.token_hex(10)}@{host}"


def tagged(address: str, display: str = "") -> uri.NameAddr:
    """An address of ours with a fresh tag."""
    return uri.NameAddr(address, display).tagged(secrets.token_hex(5))
