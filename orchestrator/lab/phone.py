"""A SIP phone that registers at the SBC with digest authentication."""

from __future__ import annotations

from orchestrator.lab import call, endpoint, leg
from orchestrator.sip import build, message, uri

PRODUCT = "Lab Phone 1.0"


class Phone(endpoint.Endpoint):
    """A phone; ``settings.account`` holds its user and password."""

    @property
    def address_of_record(self) -> str:
        """The phone's own URI at the SBC."""
        assert self.settings.account is not None
        return f"sip:{self.settings.account.user}@{self.settings.domain}"

    async def register(self, *, seconds: int = 300) -> message.Response:
        """Register, with one answer to a challenge; 0 seconds take the registration back.

        Raises:
            Silence: The SBC does not answer.
            SipError: Its challenge is not one we can answer.
        """
        assert self.settings.account is not None
        own = self.address_of_record
        request = build.request(
            "REGISTER",
            f"sip:{self.settings.domain}",
            from_=call.tagged(own),
            to=uri.NameAddr(own),
            call_id=call.new_call_id(self.settings.address),
            number=1,
            extra=(("Contact", self.settings.contact), ("Expires", str(seconds))),
        )
        answer = await self.ask(request)
        if answer.status in {401, 407}:
            answer = await self.ask(call.with_proof(request, answer, self.settings.account))
        return answer

    async def dial(self, number: str, *, wishes: leg.Wishes = leg.USUAL) -> leg.OutgoingLeg:
        """Call a number; the INVITE is sent again with a proof when it is challenged."""
        own = self.address_of_record
        target = f"sip:{number}@{self.settings.domain}"
        return await self.invite(target, caller=own, to=target, wishes=wishes)


def contact_of(user: str, address: str, port: int, transport: str = "udp") -> str:
    """A phone's Contact."""
    return f"<sip:{user}@{address}:{port};transport={transport};ob>"
