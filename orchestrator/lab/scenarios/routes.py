"""Routes of site.yaml: the next target after silence, after an answer, and when time is over.

Which route takes a call is proven with thousands of calls in tests/test_routes_on_the_wire.py;
here two targets of one call have audio, and the caller hears of one callee only (MED-9).
"""

from __future__ import annotations

from orchestrator.lab import addresses, leg, story
from orchestrator.lab.scenarios import openings

SITE = "04-routes"

HOTLINE = "+493055565"
EMERGENCY = "112"


async def emergency_by_the_second_way(told: story.Story) -> str:
    """The carrier is closed; the emergency call goes to the branch, and never to the PBX."""
    lab = told.lab
    async with lab.carrier_a.closed():
        caller, callee = await openings.teams_to_trunk(told, lab.branch, EMERGENCY)
        await told.connect(caller, callee)
        await told.talk()
        await openings.hang_up(callee, caller)
    if lab.pbx.waiting_calls:
        raise story.Failed("the PBX was called, and no route leads there")
    return "the carrier was closed, the branch answered 112, audio both ways"


async def hotline_is_not_answered(told: story.Story) -> str:
    """The PBX rings for three seconds and is cancelled; the carrier answers; one To tag."""
    lab = told.lab
    caller = await lab.teams.dial(HOTLINE, caller=addresses.TEAMS_NUMBER)
    told.track("Teams hears the carrier", caller)
    first = await lab.pbx.next_leg()
    first.ring()
    await caller.call.status(180)
    callee = await lab.carrier_a.next_leg(within=6.0)
    told.track("carrier hears Teams", callee)
    await first.cancelled()
    first.close()
    await told.connect(caller, callee)
    _has_one_callee(caller)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "not answered in time at the PBX, answered by the carrier, audio both ways"


async def busy_leads_on(told: story.Story) -> str:
    """The PBX says 486, which this route lists; the branch gets the call."""
    lab = told.lab
    caller = await lab.teams.dial(addresses.PBX_NUMBER, caller=addresses.TEAMS_NUMBER)
    told.track("Teams hears the branch", caller)
    first = await lab.pbx.next_leg()
    first.refuse(486)
    callee = await lab.branch.next_leg()
    told.track("branch hears Teams", callee)
    first.close()
    await told.connect(caller, callee)
    _has_one_callee(caller)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "busy at the PBX, answered by the branch over TCP, audio both ways"


def _has_one_callee(caller: leg.OutgoingLeg) -> None:
    tags = caller.call.tags
    if len(tags) != 1:
        raise story.Failed(f"Teams heard of {len(tags)} callees: {', '.join(tags)} (MED-9)")


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "emergency-second-way",
        "an emergency call goes by its second way",
        (),
        emergency_by_the_second_way,
        site=SITE,
    ),
    story.Scenario(
        "hotline-unanswered",
        "a PBX does not answer, the next target does",
        (),
        hotline_is_not_answered,
        site=SITE,
    ),
    story.Scenario(
        "busy-overflow",
        "a busy PBX, and a route that goes on",
        (),
        busy_leads_on,
        site=SITE,
    ),
)
"""The stories about routes."""
