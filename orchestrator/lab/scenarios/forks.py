"""Ringing in several places at once, one after the other, or not at all."""

from __future__ import annotations

from orchestrator.lab import addresses, story
from orchestrator.lab.scenarios import openings

_COMPANY = "02-company"


async def teams_forks(told: story.Story) -> str:
    """Three devices of the user ring, one gives early media, another one answers (SIG-10)."""
    caller, callee = await openings.pbx_to_teams(told)
    callee.ring(tag="desktop")
    callee.ring(tag="mobile")
    callee.early(183, tag="voicemail")
    await caller.early()
    await told.still_heard()
    callee.answer(tag="mobile")
    await caller.connected()
    await callee.confirmed()
    if len(caller.call.tags) < 2:
        raise story.Failed("the forks of Teams were hidden from the PBX")
    await told.talk()
    await openings.hang_up(caller, callee)
    return "three forks, early media of one, another one answered, audio both ways"


async def pbx_forks(told: story.Story) -> str:
    """A ring group behind the PBX: Teams sees one To tag and one port all the same (MED-9)."""
    caller, callee = await openings.teams_to_pbx(told)
    callee.early(183, tag="queue")
    await caller.early()
    await told.still_heard()
    callee.ring(tag="desk")
    callee.answer(tag="desk")
    await caller.connected()
    await callee.confirmed()
    if len(caller.call.tags) != 1:
        raise story.Failed(f"Teams saw {len(caller.call.tags)} To tags")
    await told.talk()
    await openings.hang_up(callee, caller)
    return "two forks behind the PBX, one To tag for Teams, audio both ways"


async def gateway_fails_late(told: story.Story) -> str:
    """The first gateway plays an announcement and fails, the second answers (MED-9)."""
    lab = told.lab
    caller, first = await openings.teams_to_trunk(told, lab.carrier_a, addresses.PSTN_NUMBER)
    first.early(183)
    await caller.early()
    await told.still_heard()
    first.refuse(503)
    first.close()
    caller.stream.ear.turn_to_another()
    callee = await lab.carrier_b.next_leg(call_id=first.call.invite.call_id)
    told.track("carrier B hears Teams", callee)
    callee.ring()
    callee.answer()
    await caller.connected()
    await callee.confirmed()
    if len(caller.call.tags) != 1:
        raise story.Failed(f"Teams saw {len(caller.call.tags)} To tags")
    if not await caller.stream.heard_more(story.TALK):
        raise story.Failed("Teams does not hear the second gateway")
    if not await callee.stream.heard_more(story.TALK):
        raise story.Failed("the second gateway does not hear Teams")
    await openings.hang_up(caller, callee)
    return "early media of one gateway, the other one answered, audio both ways"


async def straight_answer(told: story.Story) -> str:
    """Teams answers without any ringing before it (SIG-10)."""
    caller, callee = await openings.pbx_to_teams(told)
    callee.answer()
    await caller.connected()
    await callee.confirmed()
    await told.talk()
    await openings.hang_up(caller, callee)
    return "answered at once, audio both ways"


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario("teams-forks", "three devices of Teams ring", ("SIG-10",), teams_forks),
    story.Scenario("pbx-forks", "a ring group behind the PBX", ("MED-9",), pbx_forks),
    story.Scenario(
        "gateway-fails-late",
        "a gateway fails after its early media",
        ("MED-9", "SIG-28"),
        gateway_fails_late,
        site=_COMPANY,
    ),
    story.Scenario("straight-answer", "answered without ringing", ("SIG-10",), straight_answer),
)
"""In the order they are told."""
