"""The company's PBX: SIP over UDP, plain PCMA, no registration (it is known by its address)."""

from __future__ import annotations

from orchestrator.lab import endpoint, leg

PRODUCT = "Lab PBX 1.0"


class Pbx(endpoint.Endpoint):
    """A PBX with one extension."""

    async def dial(self, number: str, *, caller: str) -> leg.OutgoingLeg:
        """Call a number through the trunk, as a PBX does: the SBC's address in every URI."""
        target = f"sip:{number}@{self.settings.sbc}"
        return await self.invite(target, caller=f"sip:{caller}@{self.settings.domain}", to=target)


def contact_of(number: str, address: str, port: int) -> str:
    """A PBX's Contact: its address, which must not leave the company, and an opaque parameter."""
    return f"<sip:{number}@{address}:{port};transport=udp;x-line=Ab%2F7>"
