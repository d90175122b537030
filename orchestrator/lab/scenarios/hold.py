"""Hold and resume from either side, in every spelling; Microsoft records what it cannot read."""

from __future__ import annotations

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


async def hold_and_resume(one: leg.Leg, other: leg.Leg, way: str, *, fresh: bool = False) -> None:
    """*one* holds and resumes; *other* was told so."""
    await _held(one, other, way, fresh=fresh)
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
)
"""The stories of hold, in the order they are told."""
