"""A dialog of RFC 3261 section 12: who, where to, by which route, and how far the count is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.sip import build, grammar, message, uri


@dataclass(slots=True)
class Dialog:
    """One side's memory of a dialog.

    Attributes:
        call_id: The Call-ID.
        local: Our address, with our tag.
        remote: The other side's address, with its tag.
        target: The other side's Contact URI, byte for byte (SIG-12).
        routes: The route set as Route values, topmost first.
        contact: Our Contact value.
        number: The CSeq number we used last.
    """

    call_id: str
    local: uri.NameAddr
    remote: uri.NameAddr
    target: str
    routes: tuple[str, ...]
    contact: str
    number: int

    def request(
        self,
        method: str,
        *,
        number: int | None = None,
        extra: build.Extra = (),
        body: bytes = b"",
    ) -> message.Request:
        """The next request inside this dialog; an ACK names the number of its INVITE."""
        if number is None:
            self.number += 1
            number = self.number
        return build.request(
            method,
            self.target,
            from_=self.local,
            to=self.remote,
            call_id=self.call_id,
            number=number,
            routes=self.routes,
            extra=extra,
            body=body,
        )

    @property
    def next_hop(self) -> str:
        """The URI the next request is sent to: the top route, else the target."""
        return uri.parse_name_addr(self.routes[0]).uri if self.routes else self.target

    def holds(self, request: message.Request) -> bool:
        """True when a request of the other side belongs to this dialog."""
        same_call = request.call_id == self.call_id
        return same_call and (request.to.tag, request.from_.tag) == (
            self.local.tag,
            self.remote.tag,
        )


def of_answer(invite: message.Request, answer: message.Response, *, passed: int = 0) -> Dialog:
    """The caller's dialog after a response with a To tag (RFC 3261 section 12.1.2).

    Args:
        invite: What was answered.
        answer: With a To tag.
        passed: How many Record-Routes our own proxy had put into the INVITE before it left; our
            requests have passed these hops already.

    Raises:
        SipError: The response has no Contact.
    """
    return Dialog(
        call_id=invite.call_id,
        local=invite.from_,
        remote=answer.to,
        target=_target(answer),
        routes=tuple(reversed(answer.listed("Record-Route")))[passed:],
        contact=invite.need("Contact"),
        number=invite.cseq.number,
    )


def of_invite(invite: message.Request, *, tag: str, contact: str) -> Dialog:
    """The callee's dialog (RFC 3261 section 12.1.1); SipError when the INVITE has no Contact."""
    return Dialog(
        call_id=invite.call_id,
        local=invite.to.tagged(tag),
        remote=replace(invite.from_),
        target=_target(invite),
        routes=invite.listed("Record-Route"),
        contact=contact,
        number=0,
    )


def _target(parsed: message.Message) -> str:
    contacts = parsed.contacts
    if not contacts:
        raise grammar.SipError("a message that begins a dialog without Contact")
    return contacts[0].uri
