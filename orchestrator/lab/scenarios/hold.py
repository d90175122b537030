"""Hold and resume from either side, in every spelling; Microsoft records what it cannot read."""

from __future__ import annotations

import asyncio

from orchestrator.lab import hold, leg, story
from orchestrator.lab.scenarios import openings

_MUSIC = 25
"""Packets between two steps: half a second."""


async def pbx_holds(told: story.Story) -> str:
    """In a call of Teams: each spelling is a hold that Teams understands, and ends (SIG-32)."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    for way in hold.WAYS:
        await told.listen(_MUSIC)
        await hold_and_resume(callee, caller, way)
    await told.talk()
    await openings.hang_up(caller, callee)
    return f"held and resumed by the PBX as {', '.join(hold.WAYS)}, audio after each"


async def caller_holds(told: story.Story) -> str:
    """In a call of the PBX: the same from the side that called."""
    caller, callee = await openings.pbx_to_teams(told)
    await told.connect(caller, callee)
    for way in hold.WAYS:
        await told.listen(_MUSIC)
        await hold_and_resume(caller, callee, way)
    await told.talk()
    await openings.hang_up(callee, caller)
    return f"held and resumed by the caller as {', '.join(hold.WAYS)}, audio after each"


async def teams_holds(told: story.Story) -> str:
    """Teams holds by inactive and resumes, as caller and as callee (SIG-31)."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.listen(_MUSIC)
    await hold_and_resume(caller, callee, "inactive", fresh=True)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "held and resumed by Teams, audio after it"


async def both_hold(told: story.Story) -> str:
    """Both hold; one resumes and still hears nothing, then the other, and they talk."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.listen(_MUSIC)
    await _held(caller, callee, "inactive")
    await _held(callee, caller, "sendonly")
    await _resumed(caller, callee, "inactive")
    await _resumed(callee, caller, "sendrecv")
    await told.talk()
    await openings.hang_up(callee, caller)
    return "held by both, resumed by both, audio after it"


async def holds_again(told: story.Story) -> str:
    """A hold is repeated and refreshed while it lasts, and ends at another port of the PBX."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.listen(_MUSIC)
    for one, other in ((callee, caller), (caller, callee)):
        for way in ("sendonly", "inactive", "inactive"):
            await _held(one, other, way)
        for each in (one, other):
            answer = await each.refresh()
            if answer.status != 200 or hold.direction_of(answer.body) != "inactive":
                raise story.Failed(f"a refresh on hold was answered by {answer.start_line}")
        answer = await one.move() if one is callee else await one.resume()
        if answer.status != 200 or hold.direction_of(answer.body) != "sendrecv":
            raise story.Failed(f"the end of a hold was answered by {answer.start_line}")
        await told.still_heard(_MUSIC)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "held again and refreshed while it was held, resumed at another port, audio after it"


async def stubborn_answer(told: story.Story) -> str:
    """A PBX answers the hold of Teams by sendrecv; Teams hears inactive, and audio comes back."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.listen(_MUSIC)
    callee.mirror = lambda _: "sendrecv"
    answer = await caller.hold("inactive")
    if answer.status != 200 or hold.direction_of(answer.body) != "inactive":
        raise story.Failed(f"the hold of Teams was answered by {hold.direction_of(answer.body)}")
    await _resumed(caller, callee, "sendrecv")
    await told.talk()
    await openings.hang_up(caller, callee)
    return "the PBX answered sendrecv to a hold, Teams was told inactive, audio after it"


async def holds_by_port(told: story.Story) -> str:
    """A PBX gives its stream up instead of holding: refused by 488, and the call goes on."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.still_heard(_MUSIC)
    answer = await callee.call.renegotiate(hold.without_audio(callee.call.local_sdp))
    if answer.status != 488:
        raise story.Failed(f"port 0 was answered by {answer.start_line} instead of 488")
    await told.still_heard(_MUSIC)
    await hold_and_resume(callee, caller, "sendonly")
    await told.talk()
    await openings.hang_up(caller, callee)
    return "port 0 was refused by 488, the call went on and was held as calls are"


async def hold_and_resume(
    one: leg.Leg, other: leg.Leg, way: str, *, fresh: bool = False, seconds: float = 0.0
) -> None:
    """*one* holds and resumes; *other* was told so."""
    await _held(one, other, way, fresh=fresh)
    await asyncio.sleep(seconds)
    await _resumed(one, other, "sendrecv", fresh=fresh)


async def _held(one: leg.Leg, other: leg.Leg, way: str, *, fresh: bool = False) -> None:
    answer = await one.hold(way, fresh=fresh)
    if answer.status != 200:
        raise story.Failed(f"hold by {way} was answered by {answer.start_line}")
    told = other.offered
    if told == "sendrecv":
        raise story.Failed(f"hold by {way} reached the other side as {told}")


async def _resumed(one: leg.Leg, other: leg.Leg, wanted: str, *, fresh: bool = False) -> None:
    answer = await one.resume(fresh=fresh)
    if answer.status != 200:
        raise story.Failed(f"the end of a hold was answered by {answer.start_line}")
    if other.offered != "sendrecv":
        raise story.Failed(f"the end of a hold reached the other side as {other.offered}")
    settled = hold.direction_of(answer.body)
    if settled != wanted:
        raise story.Failed(f"the end of a hold was answered by {settled} instead of {wanted}")


_HOLD = ("SIG-31", "SIG-32", "MED-6", "MED-7", "MED-10")

SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario("hold-pbx", "the PBX holds a call of Teams", _HOLD, pbx_holds),
    story.Scenario("hold-caller", "the PBX holds its own call", _HOLD, caller_holds),
    story.Scenario("hold-teams", "Teams holds and resumes", _HOLD, teams_holds),
    story.Scenario("hold-both", "both sides hold", _HOLD, both_hold),
    story.Scenario("hold-again", "a hold is repeated and refreshed", _HOLD, holds_again),
    story.Scenario("hold-stubborn", "a hold is answered by sendrecv", _HOLD, stubborn_answer),
    story.Scenario("hold-port", "a PBX holds by port 0", ("MED-6",), holds_by_port),
)
"""The stories of hold, in the order they are told."""
