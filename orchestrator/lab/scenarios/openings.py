"""How stories begin and end: calls on their way, registrations, hanging up, giving up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from orchestrator.lab import addresses, dialog, leg, pbx, phone, stage, story, transaction


async def teams_to_pbx(
    told: story.Story, *, wishes: leg.Wishes = leg.USUAL
) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """Teams has called the PBX, which has not answered yet: caller and callee."""
    return await teams_to_trunk(told, told.lab.pbx, addresses.PBX_NUMBER, wishes=wishes)


async def pbx_to_teams(
    told: story.Story, *, wishes: leg.Wishes = leg.USUAL
) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """The PBX has called Teams, which has not answered yet: caller and callee."""
    return await trunk_to_teams(told, told.lab.pbx, addresses.PBX_NUMBER, wishes=wishes)


async def teams_to_trunk(
    told: story.Story, trunk: pbx.Pbx, number: str, *, wishes: leg.Wishes = leg.USUAL
) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """Teams has called *number*, and the call is at *trunk*: caller and callee."""
    caller = await told.lab.teams.dial(number, caller=addresses.TEAMS_NUMBER, wishes=wishes)
    told.track(f"Teams hears {_named(trunk)}", caller)
    callee = await trunk.next_leg(call_id=_id_of(caller))
    told.track(f"{trunk.settings.name} hears Teams", callee)
    return caller, callee


async def trunk_to_teams(
    told: story.Story, trunk: pbx.Pbx, number: str, *, wishes: leg.Wishes = leg.USUAL
) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """*number* behind *trunk* has called Teams, and the call is there: caller and callee."""
    caller = await trunk.dial(addresses.TEAMS_NUMBER, caller=number, wishes=wishes)
    told.track(f"{trunk.settings.name} hears Teams", caller)
    callee = await told.lab.teams.next_leg(call_id=_id_of(caller))
    told.track(f"Teams hears {_named(trunk)}", callee)
    return caller, callee


async def trunk_to_trunk(
    told: story.Story, one: pbx.Pbx, own: str, other: pbx.Pbx, number: str
) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """*own* behind one trunk has called *number*, and the call is at the other: both ends."""
    caller = await one.dial(number, caller=own)
    told.track(f"{one.settings.name} hears {_named(other)}", caller)
    callee = await other.next_leg(call_id=_id_of(caller))
    told.track(f"{other.settings.name} hears {_named(one)}", callee)
    return caller, callee


async def teams_to_phone(told: story.Story) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """Teams has called the registered phone, which has not answered yet: caller and callee."""
    lab = told.lab
    caller = await lab.teams.dial(addresses.PHONE_NUMBER, caller=addresses.TEAMS_NUMBER)
    told.track("Teams hears the phone", caller)
    callee = await lab.phone.next_leg(call_id=_id_of(caller))
    told.track("phone hears Teams", callee)
    return caller, callee


async def phone_to_teams(told: story.Story) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """The phone has called Teams, which has not answered yet: caller and callee."""
    lab = told.lab
    caller = await lab.phone.dial(addresses.TEAMS_NUMBER)
    told.track("phone hears Teams", caller)
    callee = await lab.teams.next_leg(call_id=_id_of(caller))
    told.track("Teams hears the phone", callee)
    return caller, callee


async def phone_to_phone(
    told: story.Story, one: phone.Phone, other: phone.Phone, number: str
) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """One phone has called the *number* of the other, which has not answered yet: both ends."""
    caller = await one.dial(number)
    told.track(f"{one.settings.name} hears {_named(other)}", caller)
    callee = await other.next_leg(call_id=_id_of(caller))
    told.track(f"{other.settings.name} hears {_named(one)}", callee)
    return caller, callee


async def register(lab: stage.Lab, *phones: phone.Phone) -> None:
    """Register phones, by default the one at the reception; Failed when the SBC refuses one."""
    for known in phones or (lab.phone,):
        answer = await known.register()
        if answer.status != 200:
            name = known.settings.name
            raise story.Failed(f"the REGISTER of {name} was answered by {answer.start_line}")


async def hang_up(first: leg.Leg, other: leg.Leg, *, source: str = "") -> None:
    """*first* hangs up and *other* learns of it; from another address when asked (EP-5)."""
    answer = await first.hang_up(source=source, fresh=bool(source))
    if answer.status != 200:
        raise story.Failed(f"BYE was answered by {answer.start_line}")
    await other.ended()


async def stray_bye(known: leg.OutgoingLeg | leg.IncomingLeg) -> None:
    """Send a BYE with a To tag of no call, then one with such a From tag; both are refused."""
    inside = known.call.dialog
    assert inside is not None
    for wrong in (
        replace(inside, remote=inside.remote.tagged("stray")),
        replace(inside, local=inside.local.tagged("stray")),
    ):
        await _no_such_call(known, wrong)


async def _no_such_call(known: leg.OutgoingLeg | leg.IncomingLeg, wrong: dialog.Dialog) -> None:
    answer = await known.call.ask("BYE", early=wrong)
    # Of who called, another From tag is no caller's, so the other end is not where it says: 403.
    if answer.status not in (403, 481):
        raise story.Failed(f"a BYE of no call was answered by {answer.start_line}")


async def refused_once(caller: leg.OutgoingLeg) -> None:
    """The SBC has taken the caller's ACK of a refusal: over UDP it would send it again.

    The ACK has the Route that its INVITE had (RFC 3261 section 17.1.1.3), which calls from a
    trunk or a phone do have here.
    """
    await asyncio.sleep(transaction.T1 * 1.5)
    refusals = [known for known in caller.call.responses.entries if known.status >= 300]
    if len(refusals) > 1:
        raise story.Failed(f"{refusals[0].start_line} came again although it had been ACKed")


async def cancel(caller: leg.OutgoingLeg, callee: leg.IncomingLeg) -> None:
    """The callee rings, the caller gives up, and both come to know that it is over."""
    callee.ring()
    await caller.call.status(180)
    answer = await caller.cancel()
    if answer.status != 487:
        raise story.Failed(f"CANCEL led to {answer.start_line} instead of 487")
    await callee.cancelled()


def _id_of(caller: leg.OutgoingLeg) -> str:
    """What its other end is found by, however many calls are under way at once."""
    return caller.call.invite.call_id


def _named(known: pbx.Pbx | phone.Phone) -> str:
    return f"the {known.settings.name}"
