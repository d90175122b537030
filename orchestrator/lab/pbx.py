"""A PBX or a carrier that is known by its address: no registration, one number or many."""

from __future__ import annotations

from orchestrator.lab import endpoint, leg

PRODUCT = "Lab PBX 1.0"


class Pbx(endpoint.Endpoint):
    """A PBX with one extension, or one gateway of a carrier."""

    async def dial(
        self, number: str, *, caller: str, wishes: leg.Wishes = leg.USUAL
    ) -> leg.OutgoingLeg:
        """Call a number through the trunk, as a PBX does: the SBC's address in every URI."""
        target = f"sip:{number}@{self.settings.sbc}"
        own = f"sip:{caller}@{self.settings.domain}"
        return await self.invite(target, caller=own, to=target, wishes=wishes)


def contact_of(number: str, address: str, port: int, transport: str = "udp") -> str:
    """A PBX's Contact: its address, which must not leave the company, and an opaque parameter."""
    return f"<sip:{number}@{address}:{port};transport={transport};x-line=Ab%2F7>"
