"""Phones that register here: with each other, and from behind a router that translates."""

from __future__ import annotations

from orchestrator.lab import addresses, story
from orchestrator.lab.scenarios import openings

SITE = "02-company"


async def desk_calls_reception(told: story.Story) -> str:
    """Two phones on the same network."""
    lab = told.lab
    await openings.register(lab, lab.phone, lab.desk)
    caller, callee = await openings.phone_to_phone(
        told, lab.desk, lab.phone, addresses.PHONE_NUMBER
    )
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "registered, one phone called the other, audio both ways"


async def home_calls_reception(told: story.Story) -> str:
    """The caller's Contact and SDP name an address that nobody outside its home can reach."""
    lab = told.lab
    await openings.register(lab, lab.home, lab.phone)
    caller, callee = await openings.phone_to_phone(
        told, lab.home, lab.phone, addresses.PHONE_NUMBER
    )
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "registered and called through a router that translates, audio both ways"


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "desk-to-reception",
        "one phone calls another",
        ("SIG-35",),
        desk_calls_reception,
        site=SITE,
    ),
    story.Scenario(
        "home-to-reception",
        "a phone behind NAT calls another",
        ("SIG-35",),
        home_calls_reception,
        site=SITE,
    ),
)
"""In the order they are told."""
