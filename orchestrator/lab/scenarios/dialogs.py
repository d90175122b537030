"""What happens inside a call: glare, refreshes, lost and repeated messages, crossings."""

from __future__ import annotations

import asyncio
from functools import partial

from orchestrator.lab import addresses, call, leg, story
from orchestrator.lab.scenarios import openings

_FORGOTTEN = 10.0
"""Seconds after a 200 in which it is repeated, and the SBC has forgotten the transaction."""
_LOST = 1.0
"""Seconds in which whatever comes is lost; the SBC waits three for an answer."""
_TIMER = (("Session-Expires", "90;refresher=uas"), ("Min-SE", "90"), ("Supported", "timer"))


async def glare(told: story.Story) -> str:
    """Both sides renegotiate at once; 491 reaches who asked, and the next try works."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.still_heard()
    answers = await asyncio.gather(caller.refresh(), callee.refresh())
    if not any(answer.status == 491 for answer in answers):
        raise story.Failed(f"crossing INVITEs got {answers[0].status} and {answers[1].status}")
    answer = await caller.refresh()
    if answer.status != 200:
        raise story.Failed(f"the second try was answered by {answer.start_line}")
    await told.talk()
    await openings.hang_up(caller, callee)
    return "491 passed, the second try was taken, audio both ways"


async def both_refresh(told: story.Story) -> str:
    """Session refreshes from both sides, the PBX's with timers of its own (SIG-29)."""
    caller, callee = await openings.pbx_to_teams(told)
    await told.connect(caller, callee)
    for one in (caller, callee):
        await told.still_heard()
        answer = await one.refresh()
        if answer.status != 200:
            raise story.Failed(f"a refresh was answered by {answer.start_line}")
    await told.talk()
    await openings.hang_up(caller, callee)
    return "refreshed from both sides, audio before and after"


async def ack_is_lost(told: story.Story) -> str:
    """The first ACK is lost behind the SBC; the PBX repeats its 200, and the call stands."""
    caller, callee = await openings.teams_to_pbx(told)
    callee.call.server.lose_acks = 1
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "the second ACK arrived, audio both ways"


async def lost_with_the_connection(told: story.Story) -> str:
    """What the PBX sends in a call is lost on the way to Teams; it goes once more (TLS-8)."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.still_heard()
    async with told.lab.teams.mute():
        refreshing = asyncio.create_task(callee.refresh())
        await told.wait(_LOST)
    answer = await refreshing
    if answer.status != 200:
        raise story.Failed(f"the re-INVITE was answered by {answer.start_line}")
    await told.talk()
    await told.wait(_LOST / 2)
    async with told.lab.teams.mute():
        ending = asyncio.create_task(openings.hang_up(callee, caller))
        await told.wait(_LOST)
    await ending
    return "a re-INVITE and a BYE were lost and arrived at the second try"


async def invite_again(told: story.Story) -> str:
    """Teams lost its connection and calls again from another datacentre (SIG-27, SIG-33)."""
    caller, forgotten = await openings.teams_to_pbx(told)
    forgotten.ring()
    await caller.call.status(180)
    other = addresses.TEAMS_HOSTS["sip2.pstnhub.microsoft.com"]
    repeated = await caller.call.repeat(source=other)
    callee = await told.lab.pbx.next_leg()
    await forgotten.cancelled()
    told.track("PBX hears Teams again", callee)
    callee.answer()
    answer = await repeated.final(call.WITHIN)
    if answer.status != 200:
        raise story.Failed(f"the second datacentre got {answer.start_line}")
    if told.lab.pbx.waiting_calls:
        raise story.Failed("the PBX was called a third time")
    # Nobody acknowledges; the PBX repeats its 200 for longer than the SBC remembers the call.
    await told.wait(_FORGOTTEN)
    return "the forgotten call was cancelled, the second datacentre got its answer"


async def cancel_crosses_answer(told: story.Story) -> str:
    """Teams gives up in the moment in which the PBX answers: it hangs up, nothing is left."""
    caller, callee = await openings.teams_to_pbx(told)
    callee.call.heeds_cancel = False
    callee.ring()
    await caller.call.status(180)
    caller.call.send_cancel()
    await callee.cancelled()
    callee.answer()
    answer = await caller.connected()
    if answer.status != 200:
        raise story.Failed(f"the crossing ended with {answer.start_line}")
    await callee.confirmed()
    await openings.hang_up(caller, callee)
    return "200 crossed CANCEL, acknowledged and hung up"


async def others_hang_up(told: story.Story) -> str:
    """Both hang up at once: both BYEs are answered, nothing is left."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.talk()
    answers = await asyncio.gather(caller.hang_up(), callee.hang_up())
    if {answer.status for answer in answers} - {200, 481}:
        raise story.Failed(f"BYEs were answered by {answers[0].status} and {answers[1].status}")
    return "both BYEs were answered"


async def stray(told: story.Story, *, teams_calls: bool) -> str:
    """BYEs with tags of no call are refused, and end neither the call nor its audio (SIG-36)."""
    opening = openings.teams_to_pbx if teams_calls else openings.pbx_to_teams
    caller, callee = await opening(told)
    await told.connect(caller, callee)
    await told.still_heard()
    # Teams' own calls have one tag, and what Teams sends in them is of that call.
    for one in (callee,) if teams_calls else (caller, callee):
        await openings.stray_bye(one)
    await told.still_heard()
    await told.talk()
    await openings.hang_up(callee, caller)
    return "strange BYEs were refused, and everybody was heard until somebody hung up"


async def connection_is_cut(told: story.Story) -> str:
    """All of Microsoft's connections break in a call; the BYE of the PBX gets through."""
    caller, callee = await openings.pbx_to_teams(told)
    await told.connect(caller, callee)
    await told.still_heard()
    await told.lab.teams.drop_connections()
    await told.talk()
    await openings.hang_up(caller, callee)
    return "the PBX hung up over a new connection"


async def timers_of_the_pbx(told: story.Story) -> str:
    """A PBX that asks for a session timer in its INVITE gets its call (SIG-29)."""
    wishes = leg.Wishes(extra=_TIMER, without=("Supported",))
    caller = await told.lab.pbx.dial(
        addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER, wishes=wishes
    )
    told.track("PBX hears Teams", caller)
    callee = await told.lab.teams.next_leg()
    told.track("Teams hears the PBX", callee)
    if callee.call.invite.get("Session-Expires") != _TIMER[0][1]:
        raise story.Failed("the session timer did not arrive")
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "answered with the PBX's session timer, audio both ways"


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario("glare", "both sides renegotiate at once", ("SIG-12",), glare),
    story.Scenario(
        "refresh-both", "both sides refresh", ("SIG-29", "MED-6", "MED-7"), both_refresh
    ),
    story.Scenario("timer-pbx", "the PBX wants a session timer", ("SIG-29",), timers_of_the_pbx),
    story.Scenario("ack-lost", "an ACK is lost", ("SIG-9",), ack_is_lost),
    story.Scenario(
        "lost", "requests are lost with a connection", ("TLS-8",), lost_with_the_connection
    ),
    story.Scenario("invite-again", "the INVITE comes twice", ("SIG-27", "SIG-33"), invite_again),
    story.Scenario("cancel-crosses", "CANCEL crosses 200", ("SIG-9",), cancel_crosses_answer),
    story.Scenario("bye-crosses", "both hang up at once", ("SIG-36",), others_hang_up),
    story.Scenario(
        "bye-stray-teams", "BYEs of no call", ("SIG-36",), partial(stray, teams_calls=True)
    ),
    story.Scenario(
        "bye-stray-pbx", "BYEs of no call", ("SIG-36",), partial(stray, teams_calls=False)
    ),
    story.Scenario("cut", "the connection is cut in a call", ("TLS-8",), connection_is_cut),
)
"""In the order they are told."""
