"""Transfers: by a PBX that takes REFER, and where nobody does."""

from __future__ import annotations

import asyncio

from orchestrator.lab import addresses, call, leg, media, refer, story
from orchestrator.lab.scenarios import openings
from orchestrator.sip import message, uri

SITE = "02-company"

LONGEST_TOKEN = 40
"""Characters that a PBX's dial plan will certainly take as a user part."""

TALK = story.TALK // 2
"""Packets that each side must hear before and after a transfer: one second."""

_REFER = ("XF-2", "XF-3", "XF-4", "XF-5", "XF-9")


async def to_a_user(told: story.Story) -> str:
    """Blind, to a user: Refer-To has no user part; Teams ends the old call at last (XF-5)."""
    branch, user = await _branch_calls_teams(told)
    moved, new, other = await _transfer(told, user, branch, refer.opaque_target())
    await told.connect(new, other)
    await moved.told(200)
    _must_say(moved, 100, 180, 200)
    await openings.hang_up(user, branch)
    await told.talk(TALK)
    await openings.hang_up(other, new)
    return "transferred to a user: audio with the new one, Teams ended the old call"


async def to_a_number(told: story.Story) -> str:
    """Blind, to a number behind the same PBX: Teams calls it, and both calls are one (XF-7)."""
    user, branch = await _teams_calls_branch(told)
    target = refer.opaque_target(addresses.BRANCH_NUMBER)
    moved, new, other = await _transfer(told, user, branch, target)
    hairpin = await told.lab.teams.dial(addresses.BRANCH_NUMBER, caller=addresses.TEAMS_NUMBER)
    far = await told.lab.branch.next_leg()
    told.track("the far end hears who was transferred", far)
    media.bridge(other.stream, hairpin.stream)
    await told.connect(hairpin, far)
    await told.connect(new, other)
    await moved.told(200)
    await openings.hang_up(user, branch)
    await told.talk(TALK)
    hairpin.close()
    if new.stream.ear.ssrc != hairpin.stream.ear.ssrc:
        raise story.Failed("who was transferred does not hear the number that Teams called")
    await openings.hang_up(far, hairpin)
    await openings.hang_up(new, other)
    return "transferred to a number: the trunk is called again, and both ends hear each other"


async def after_asking(told: story.Story) -> str:
    """Consultative: hold, REFER with x-tt; who waits hears the new leg before it answers."""
    user, branch = await _teams_calls_branch(told)
    branch.stream.ear.music = True
    await user.hold()
    target = refer.opaque_target(consult=True)
    moved, new, other = await _transfer(told, user, branch, target)
    other.early()
    await new.early()
    if not await new.stream.heard(25, within=3.0):
        raise story.Failed("who was transferred does not hear the ringing of the new leg")
    other.answer()
    await new.connected()
    await other.confirmed()
    await moved.told(200)
    await openings.hang_up(user, branch)
    await told.talk(TALK)
    await openings.hang_up(new, other)
    return "transferred after asking: early media and audio with the new user"


async def as_odd_as_it_gets(told: story.Story) -> str:
    """What no request line can hold gets 400; Replaces in Refer-To becomes a header."""
    branch, user = await _branch_calls_teams(told)
    refer.accept(branch)
    bad = ("<tel:+493055520>", "<sip:a@b?X=1%0D%0AVia:x>", '<sip:a@b;x="c>', "<sip:>", "sips:a@b")
    for value in bad:
        answer = await user.call.ask("REFER", extra=(("Refer-To", value),))
        if answer.status != 400:
            raise story.Failed(f"Refer-To: {value} got {answer.start_line}")
    if (answer := await user.call.ask("REFER")).status != 400:
        raise story.Failed(f"REFER without Refer-To got {answer.start_line}")
    if any(request.method == "REFER" for request in branch.call.requests.entries):
        raise story.Failed("a REFER that asks for nothing reached the PBX")
    plain = f"sip:{refer.HOST}:5061;x-m=8:orgid:Ab;x-t=c%2Fd;transport=tls"
    asked = refer.Target(f"{plain}?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2")
    _, new, other = await _transfer(told, user, branch, asked)
    other.refuse(603)
    if (answer := await new.call.final()).status != 603:
        raise story.Failed(f"Teams declined, and the PBX got {answer.start_line}")
    await _go_on(told, user, branch)
    return "REFERs that ask for nothing got 400; Teams got the Replaces it had asked for"


async def in_a_hurry(told: story.Story) -> str:
    """The transferor is gone 280 ms after the 202, before the PBX has called anybody."""
    branch, user = await _branch_calls_teams(told)
    moved, asked = await _ask(told, user, branch, refer.opaque_target())
    await asyncio.sleep(refer.LEAVE_AFTER)
    await openings.hang_up(user, branch)
    new, other = await _follow(told, branch, asked, moved.target)
    await told.connect(new, other)
    await told.talk(TALK)
    await openings.hang_up(other, new)
    return "the transferor left after 280 ms, and the transfer went on"


async def to_a_full_house(told: story.Story) -> str:
    """Microsoft's first name cannot serve now: the second one is asked for the same (SIG-14)."""
    branch, user = await _branch_calls_teams(told)
    moved, new, full = await _transfer(told, user, branch, refer.opaque_target())
    full.refuse(503, extra=(("Retry-After", "1"),))
    other = await told.lab.teams.next_leg()
    told.track("the second name hears branch", other)
    first, second = (each.call.server.flow.local[0] for each in (full, other))
    if other.call.invite.target != full.call.invite.target or first == second:
        raise story.Failed(f"{second} was asked for {other.call.invite.target}")
    await told.connect(new, other)
    await moved.told(200)
    _must_say(moved, 100, 180, 200)
    await openings.hang_up(user, branch)
    if not await new.stream.heard(TALK, within=5.0):
        raise story.Failed("who was transferred hears nobody")
    await openings.hang_up(other, new)
    return "the first name said 503, and the second one took the transfer"


async def to_somebody_busy(told: story.Story) -> str:
    """The target is busy: Teams is told, is not asked again, and the first call goes on (XF-4)."""
    branch, user = await _branch_calls_teams(told)
    moved, new, other = await _transfer(told, user, branch, refer.opaque_target())
    other.refuse(486)
    await moved.told(486)
    again = await (await new.call.repeat()).final(call.WITHIN)
    if again.status != 404 or told.lab.teams.waiting_calls:
        raise story.Failed(f"the same call, sent again, got {again.start_line}")
    await _go_on(told, user, branch)
    return "the target was busy: Teams was told, was called once, and the call went on"


async def to_nobody(told: story.Story) -> str:
    """The target rings and does not answer until the PBX gives up; the first call goes on."""
    user, branch = await _teams_calls_branch(told)
    moved, new, other = await _transfer(told, user, branch, refer.opaque_target())
    other.ring()
    await moved.told(180)
    await new.cancel()
    await other.cancelled()
    await moved.told(487)
    _must_say(moved, 100, 180, 487)
    await _go_on(told, user, branch)
    return "nobody answered: the PBX gave up, Teams was told, and the call went on"


async def with_a_token(told: story.Story) -> str:
    """Nobody but the PBX that was asked reaches the target, and nobody twice."""
    branch, user = await _branch_calls_teams(told)
    refer.accept(branch)
    await told.lab.teams.transfer(user, refer.opaque_target())
    token = _user_of(await branch.call.requested("REFER"))
    await _must_be_refused(told, token, 404, other=True)
    await _must_be_refused(told, token[:-1] + ("0" if token[-1] != "0" else "1"), 404)
    assert branch.call.dialog is not None
    own = (refer.replaces(branch.call.dialog), ("Referred-By", "<sip:pbx@192.0.2.21>"))
    new = await told.lab.branch.dial(
        token, caller=addresses.BRANCH_NUMBER, wishes=leg.Wishes(extra=own)
    )
    told.track("branch hears the new user", new)
    other_user = await told.lab.teams.next_leg()
    told.track("the new user hears branch", other_user)
    await told.connect(new, other_user)
    await _must_be_refused(told, token, 404)
    await told.talk(TALK)
    for first, second in ((user, branch), (other_user, new)):
        await openings.hang_up(first, second)
    return "a token of another trunk, a guessed one and a used one got 404"


async def where_nobody_transfers(told: story.Story) -> str:
    """Internal mode: REFER is not in Allow, and one that comes all the same gets 405."""
    user, pbx = await openings.teams_to_pbx(told)
    await told.connect(user, pbx)
    answer = user.call.responses.entries[-1]
    if "refer" in answer.tokens("Allow") or "notify" not in answer.tokens("Allow"):
        raise story.Failed(f"Teams reads Allow: {answer.get('Allow')}")
    moved = await told.lab.teams.transfer(user, refer.opaque_target())
    _must_be_405(moved.answer)
    if any(request.method == "REFER" for request in pbx.call.requests.entries):
        raise story.Failed("the REFER reached a PBX that cannot carry it out")
    await _go_on(told, user, pbx)
    return "REFER is not offered, got 405, and the call went on"


async def a_carrier_refers(told: story.Story) -> str:
    """REFER of a carrier: 405, and Teams never sees it (XF-11)."""
    lab = told.lab
    user, carrier = await openings.teams_to_trunk(told, lab.carrier_a, addresses.PSTN_NUMBER)
    await told.connect(user, carrier)
    target = refer.Target(f"sip:{addresses.PBX_NUMBER}@{addresses.SBC_LAN}")
    _must_be_405((await refer.transfer(carrier, target)).answer)
    if any(request.method == "REFER" for request in user.call.requests.entries):
        raise story.Failed("a carrier's REFER reached Teams")
    await _go_on(told, user, carrier)
    return "a carrier's REFER got 405, and the call went on"


async def teams_replaces(told: story.Story) -> str:
    """INVITE with Replaces is not offered to Teams; one that comes all the same gets 420."""
    branch, user = await _branch_calls_teams(told)
    assert user.call.dialog is not None
    if "replaces" in user.call.invite.tokens("Supported"):
        raise story.Failed("Supported lists replaces")
    extra = (refer.replaces(user.call.dialog), ("Require", "replaces"))
    second = await told.lab.teams.dial(
        addresses.BRANCH_NUMBER, caller=addresses.TEAMS_NUMBER, wishes=leg.Wishes(extra=extra)
    )
    answer = await second.call.final()
    second.close()
    if answer.status != 420 or answer.get("Unsupported") != "replaces":
        raise story.Failed(f"INVITE with Replaces got {answer.start_line}")
    wishes = leg.Wishes(extra=(("Require", "replaces"),))
    third = await told.lab.branch.dial(
        addresses.TEAMS_NUMBER, caller=addresses.BRANCH_NUMBER, wishes=wishes
    )
    answer = await third.call.final()
    third.close()
    if answer.status != 420 or told.lab.teams.waiting_calls:
        raise story.Failed(f"a PBX that wants to replace a call of Teams got {answer.start_line}")
    if told.lab.branch.waiting_calls:
        raise story.Failed("a call that was to replace another one rang as a new one")
    await _go_on(told, branch, user)
    return "INVITE with Replaces got 420, and the call went on"


def _told(name: str, title: str, proves: tuple[str, ...], play: story.Play) -> story.Scenario:
    return story.Scenario(name, title, proves, play, site=SITE)


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "refer-refused", "Teams may not transfer by REFER", ("XF-1",), where_nobody_transfers
    ),
    _told("transfer-user", "Teams transfers a call to a user", (*_REFER, "XF-6"), to_a_user),
    _told("transfer-number", "Teams transfers a call to a number", (*_REFER, "XF-7"), to_a_number),
    _told(
        "transfer-asked", "Teams transfers after asking", (*_REFER, "XF-6", "XF-10"), after_asking
    ),
    _told("transfer-hasty", "the transferor leaves at once", ("XF-2", "XF-5"), in_a_hurry),
    _told("transfer-full", "Teams transfers and is full", ("SIG-14", "XF-3"), to_a_full_house),
    _told("transfer-busy", "Teams transfers to somebody busy", ("XF-4", "XF-5"), to_somebody_busy),
    _told("transfer-silent", "Teams transfers to nobody", ("XF-4", "XF-5"), to_nobody),
    _told("transfer-odd", "Teams asks for odd transfers", ("XF-3", "SIG-7"), as_odd_as_it_gets),
    _told("transfer-token", "who may use a transfer", ("XF-2", "XF-4"), with_a_token),
    _told("replaces-refused", "Teams may not replace calls", ("XF-8", "SIG-7"), teams_replaces),
    _told("carrier-refer", "a carrier sends REFER", ("XF-11",), a_carrier_refers),
)
"""In the order they are told."""


async def _branch_calls_teams(told: story.Story) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    branch, user = await openings.trunk_to_teams(told, told.lab.branch, addresses.BRANCH_NUMBER)
    await told.connect(branch, user)
    await told.listen(TALK)
    return branch, user


async def _teams_calls_branch(told: story.Story) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    user, branch = await openings.teams_to_trunk(told, told.lab.branch, addresses.BRANCH_NUMBER)
    await told.connect(user, branch)
    await told.listen(TALK)
    return user, branch


async def _transfer(
    told: story.Story, user: refer.Leg, branch: refer.Leg, target: refer.Target
) -> tuple[refer.Transfer, leg.OutgoingLeg, leg.IncomingLeg]:
    """Teams sends REFER and the PBX does what it says: the transfer and both ends of the new call.

    That the new INVITE is the one Microsoft asked for, its rules XF-2 to XF-5 say.
    """
    moved, asked = await _ask(told, user, branch, target)
    return (moved, *await _follow(told, branch, asked, target))


async def _ask(
    told: story.Story, user: refer.Leg, branch: refer.Leg, target: refer.Target
) -> tuple[refer.Transfer, message.Request]:
    """Teams sends REFER from another address (XF-9), and the PBX gets one it can carry out."""
    refer.accept(branch)
    moved = await told.lab.teams.transfer(user, target)
    if moved.answer.status != 202:
        raise story.Failed(f"the REFER was answered by {moved.answer.start_line}")
    asked = await branch.call.requested("REFER")
    if len(_user_of(asked)) > LONGEST_TOKEN or "x-m=" in asked.text():
        raise story.Failed(f"the PBX was asked to call {asked.get('Refer-To')}")
    return moved, asked


async def _follow(
    told: story.Story, branch: refer.Leg, asked: message.Request, target: refer.Target
) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """The PBX does what a REFER asks: both ends of the new call."""
    new = await refer.follow(told.lab.branch, branch, asked)
    told.track("branch hears the new user", new)
    other = await told.lab.teams.next_leg(call_id=new.call.invite.call_id)
    told.track("the new user hears branch", other)
    if other.call.invite.target != target.refer_to.partition("?")[0]:
        raise story.Failed(f"Teams was called as {other.call.invite.target}")
    return new, other


async def _go_on(told: story.Story, first: leg.Leg, second: leg.Leg) -> None:
    """The call stands as before: audio both ways, and it can be ended."""
    for each in (first, second):
        if not await each.stream.heard_more(TALK, within=5.0):
            raise story.Failed("the call fell silent")
    await openings.hang_up(first, second)
    told.close()


async def _must_be_refused(
    told: story.Story, token: str, status: int, *, other: bool = False
) -> None:
    """The PBX, or another one, calls a token in vain, and Teams hears nothing of it."""
    lab = told.lab
    caller = lab.pbx if other else lab.branch
    number = addresses.PBX_NUMBER if other else addresses.BRANCH_NUMBER
    tried = await caller.dial(token, caller=number)
    answer = await tried.call.final()
    tried.close()
    if answer.status != status or lab.teams.waiting_calls:
        raise story.Failed(f"a call to {token} got {answer.start_line}")


def _must_be_405(answer: message.Response) -> None:
    if answer.status != 405 or "refer" in answer.tokens("Allow") or not answer.get("Allow"):
        raise story.Failed(f"REFER got {answer.start_line}, Allow: {answer.get('Allow')}")


def _must_say(moved: refer.Transfer, *statuses: int) -> None:
    if moved.statuses != statuses:
        raise story.Failed(f"the NOTIFYs told {moved.statuses} instead of {statuses}")


def _user_of(asked: message.Request) -> str:
    return uri.parse_uri(uri.parse_name_addr(asked.need("Refer-To")).uri).user or ""
