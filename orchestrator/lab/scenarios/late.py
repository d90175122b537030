"""Offers that come late: in the answer to an INVITE without SDP, with the answer in the ACK."""

from __future__ import annotations

from orchestrator.lab import addresses, hold, leg, story
from orchestrator.lab.scenarios import openings

Either = leg.OutgoingLeg | leg.IncomingLeg

_STEP = 25
"""Packets between two steps: half a second."""


async def trunk_asks(told: story.Story) -> str:
    """The PBX refreshes without SDP, as caller and as callee: Teams offers, the ACK answers."""
    await _in_both_calls(told, by_teams=False)
    return "the PBX asked Teams for offers in a call each way, audio unaltered after each"


async def teams_asks(told: story.Story) -> str:
    """Teams refreshes without SDP, as caller and as callee: the PBX offers, the ACK answers."""
    await _in_both_calls(told, by_teams=True)
    return "Teams asked the PBX for offers in a call each way, audio unaltered after each"


async def asked_on_hold(told: story.Story) -> str:
    """Teams asks for an offer while the PBX holds, and hears of the hold as inactive."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    await callee.hold("sendonly")
    await _ask(caller, callee, wanted="inactive")
    answer = await callee.resume()
    if answer.status != 200:
        raise story.Failed(f"the end of the hold was answered by {answer.start_line}")
    await _ask(caller, callee)
    await told.still_heard(_STEP)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "held, asked while it was held, resumed, asked again, audio after it"


async def first_offer_late(told: story.Story) -> str:
    """The branch calls without SDP, as CUCM does: Teams is not asked, the PBX offers (SIG-6)."""
    lab = told.lab
    wishes = leg.Wishes(offer=leg.no_offer)
    refused = await lab.branch.dial(
        addresses.TEAMS_NUMBER, caller=addresses.BRANCH_NUMBER, wishes=wishes
    )
    answer = await refused.connected()
    if answer.status != 488 or lab.teams.waiting_calls:
        raise story.Failed(f"a call to Teams without SDP was answered by {answer.start_line}")
    caller = await lab.branch.dial(
        addresses.PBX_NUMBER, caller=addresses.BRANCH_NUMBER, wishes=wishes
    )
    told.track("branch hears the PBX", caller)
    callee = await lab.pbx.next_leg(call_id=caller.call.invite.call_id)
    told.track("PBX hears the branch", callee)
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    await _ask(caller, callee)
    await _ask(callee, caller)
    await told.still_heard(_STEP)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "488 instead of Teams; at the PBX the 200 offered and the ACK answered, audio both ways"


async def _in_both_calls(told: story.Story, *, by_teams: bool) -> None:
    """In a call of Teams and in one of the PBX, one asks for an offer twice."""
    for opening in (openings.teams_to_pbx, openings.pbx_to_teams):
        caller, callee = await opening(told)
        await told.connect(caller, callee)
        await told.still_heard(_STEP)
        teams_calls = opening is openings.teams_to_pbx
        asker, other = (caller, callee) if teams_calls == by_teams else (callee, caller)
        for _ in range(2):
            await _ask(asker, other)
            await told.still_heard(_STEP)
        for one in (caller, callee):
            answer = await one.refresh()
            if answer.status != 200:
                raise story.Failed(f"a refresh after it was answered by {answer.start_line}")
        await told.still_heard(_STEP)
    await told.talk()


async def _ask(asker: Either, other: Either, *, wanted: str = "sendrecv") -> None:
    """*asker* gets an offer in the 200, *other* the answer in the ACK; both say *wanted*."""
    before = len(other.call.requests.entries)
    answer = await asker.call.renegotiate(b"")
    if answer.status != 200:
        raise story.Failed(f"an INVITE without SDP was answered by {answer.start_line}")
    if not answer.body:
        raise story.Failed("the 200 to an INVITE without SDP has no offer")
    ack = await other.call.requested("ACK", after=before)
    if not ack.body:
        raise story.Failed("the ACK has no answer to the offer of the 200")
    for who, body in (("200", answer.body), ("ACK", ack.body)):
        if hold.direction_of(body) != wanted:
            raise story.Failed(f"the {who} says {hold.direction_of(body)}, not {wanted}")


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario("late-trunk", "the PBX asks for an offer", ("MED-6", "MED-7"), trunk_asks),
    story.Scenario("late-teams", "Teams asks for an offer", ("MED-6", "MED-7"), teams_asks),
    story.Scenario(
        "late-hold", "Teams asks for an offer on hold", ("SIG-32", "MED-10"), asked_on_hold
    ),
    story.Scenario(
        "late-call", "a call without SDP", ("SIG-6",), first_offer_late, site="02-company"
    ),
)
"""The stories of late offers, in the order they are told."""
