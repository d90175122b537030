"""How stories begin and end: calls on their way, registrations, hanging up, giving up."""

from __future__ import annotations

from orchestrator.lab import addresses, leg, stage, story


async def teams_to_pbx(told: story.Story) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """Teams has called the PBX, which has not answered yet: caller and callee."""
    lab = told.lab
    caller = await lab.teams.dial(addresses.PBX_NUMBER, caller=addresses.TEAMS_NUMBER)
    told.track("Teams hears the PBX", caller)
    callee = await lab.pbx.next_leg()
    told.track("PBX hears Teams", callee)
    return caller, callee


async def pbx_to_teams(told: story.Story) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """The PBX has called Teams, which has not answered yet: caller and callee."""
    lab = told.lab
    caller = await lab.pbx.dial(addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER)
    told.track("PBX hears Teams", caller)
    callee = await lab.teams.next_leg()
    told.track("Teams hears the PBX", callee)
    return caller, callee


async def register(lab: stage.Lab) -> None:
    """Register the phone; Failed when the SBC does not want it."""
    answer = await lab.phone.register()
    if answer.status != 200:
        raise story.Failed(f"the phone's REGISTER was answered by {answer.start_line}")


async def hang_up(first: leg.Leg, other: leg.Leg, *, source: str = "") -> None:
    """*first* hangs up and *other* learns of it; from another address when asked (EP-5)."""
    answer = await first.hang_up(source=source, fresh=bool(source))
    if answer.status != 200:
        raise story.Failed(f"BYE was answered by {answer.start_line}")
    await other.ended()


async def cancel(caller: leg.OutgoingLeg, callee: leg.IncomingLeg) -> None:
    """The callee rings, the caller gives up, and both come to know that it is over."""
    callee.ring()
    await caller.call.status(180)
    answer = await caller.cancel()
    if answer.status != 487:
        raise story.Failed(f"CANCEL led to {answer.start_line} instead of 487")
    await callee.cancelled()
