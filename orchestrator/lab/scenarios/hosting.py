"""Customers who share an SBC: whose name a call carries, and what keeps them apart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from orchestrator.lab import addresses, call, leg, pbx, refer, story
from orchestrator.lab.scenarios import identity, numbers, openings

HOSTING = "09-hosting"


@dataclass(frozen=True, slots=True)
class _Customer:
    """One of the site's tenants: its name at Microsoft, a user, and an actor it speaks through."""

    fqdn: str
    number: str
    trunk: str


_CONTOSO = _Customer(addresses.CONTOSO, addresses.CONTOSO_NUMBER, "pbx")
_FABRIKAM = _Customer(addresses.FABRIKAM, addresses.FABRIKAM_NUMBER, "secure")
_NORTHWIND = _Customer(addresses.NORTHWIND, addresses.NORTHWIND_NUMBER, "branch")
_ADATUM = _Customer(addresses.ADATUM, addresses.ADATUM_NUMBER, "carrier_a")


async def calls(told: story.Story, *, who: _Customer, dialled: str) -> str:
    """A customer's Teams calls; every message of the call shows its name (MT-1, SIG-20)."""
    caller = await told.lab.teams.dial(dialled, caller=who.number, fqdn=who.fqdn)
    callee = await getattr(told.lab, who.trunk).next_leg(call_id=caller.call.invite.call_id)
    await _whole_call(told, caller, callee)
    return f"{dialled} is at {who.trunk} for {who.fqdn}, whose name every message showed"


async def called(told: story.Story, *, who: _Customer, caller_id: str) -> str:
    """A customer's user is called from its trunk; every message shows the customer's name."""
    caller = await getattr(told.lab, who.trunk).dial(who.number, caller=caller_id)
    callee = await told.lab.teams.next_leg(call_id=caller.call.invite.call_id)
    if _name_of(callee) != who.fqdn:
        raise story.Failed(f"{who.fqdn}'s user was called as {_name_of(callee)}'s")
    await _whole_call(told, caller, callee)
    return f"called as {who.fqdn}, whose name every message showed"


async def transferred(told: story.Story) -> str:
    """A customer's Teams transfers a call of its PBX's; the new call shows its name as well."""
    lab = told.lab
    branch = await lab.branch.dial(_NORTHWIND.number, caller=addresses.BRANCH_NUMBER)
    user = await lab.teams.next_leg(call_id=branch.call.invite.call_id)
    told.track("branch hears northwind", branch)
    told.track("northwind hears branch", user)
    await told.connect(branch, user)
    refer.accept(branch)
    moved = await lab.teams.transfer(user, refer.opaque_target())
    new = await refer.follow(lab.branch, branch, await branch.call.requested("REFER"))
    other = await lab.teams.next_leg(call_id=new.call.invite.call_id)
    if _name_of(other) != _NORTHWIND.fqdn:
        raise story.Failed(f"the new call came as {_name_of(other)}'s")
    await told.connect(new, other)
    await moved.told(200)
    await openings.hang_up(user, branch)
    await openings.hang_up(other, new)
    return "both calls went by northwind's name"


async def limited(told: story.Story) -> str:
    """Two calls at once are the most: a third gets 503, and a call for help does not (I5)."""
    lab = told.lab
    standing = []
    for _ in range(2):
        caller = await lab.branch.dial(_NORTHWIND.number, caller=addresses.BRANCH_NUMBER)
        callee = await lab.teams.next_leg(call_id=caller.call.invite.call_id)
        await told.connect(caller, callee)
        standing.append((caller, callee))
    await _refused(await _from_northwind(told, addresses.BRANCH_NUMBER), 503)
    await _refused(await lab.branch.dial(_NORTHWIND.number, caller=addresses.BRANCH_NUMBER), 503)
    caller = await _from_northwind(told, "112")
    callee = await lab.carrier_a.next_leg(call_id=caller.call.invite.call_id)
    await told.connect(caller, callee)
    await openings.hang_up(caller, callee)
    caller, callee = standing.pop()
    await openings.hang_up(callee, caller)
    busy = await _from_northwind(told, addresses.BRANCH_NUMBER)
    (await lab.branch.next_leg(call_id=busy.call.invite.call_id)).refuse(486)
    await _refused(busy, 486)
    given_up = await _from_northwind(told, addresses.BRANCH_NUMBER)
    ringing = await lab.branch.next_leg(call_id=given_up.call.invite.call_id)
    ringing.ring()
    await given_up.cancel()
    await ringing.cancelled()
    caller = await _from_northwind(told, addresses.BRANCH_NUMBER)
    callee = await lab.branch.next_leg(call_id=caller.call.invite.call_id)
    await told.connect(caller, callee)
    for one, other in ((caller, callee), *standing):
        await openings.hang_up(one, other)
    return (
        "the third call got 503, one for help passed; whoever ended, was busy or gave up made room"
    )


async def tricked(told: story.Story) -> str:
    """Neither BYEs of no call nor a second call with its Call-ID make room in a full customer."""
    lab = told.lab
    first = await lab.branch.dial(_NORTHWIND.number, caller=addresses.BRANCH_NUMBER)
    user = await lab.teams.next_leg(call_id=first.call.invite.call_id)
    await told.connect(first, user)
    second = await _from_northwind(told, addresses.BRANCH_NUMBER)
    phone = await lab.branch.next_leg(call_id=second.call.invite.call_id)
    for tag in ("", "another"):
        await _merged(first.call, tag)
    phone.ring()
    await second.call.status(180)
    await _merged(first.call, "another")
    await told.connect(second, phone)
    for one in (first, user, phone):
        await openings.stray_bye(one)
        await _refused(await _from_northwind(told, addresses.BRANCH_NUMBER), 503)
    if lab.teams.waiting_calls or lab.branch.waiting_calls:
        raise story.Failed("a call too many reached somebody")
    # Whoever hangs up has no call any more, whether the other end hears of it or not.
    async with lab.branch.mute():
        gone = await second.hang_up()
    numbers.expect(str(gone.status), "408", "the answer to a BYE that nobody hears")
    third = await _from_northwind(told, addresses.BRANCH_NUMBER)
    phone = await lab.branch.next_leg(call_id=third.call.invite.call_id)
    await told.connect(third, phone)
    await openings.hang_up(phone, third)
    await openings.hang_up(first, user)
    return (
        "strange BYEs were refused, a second call with a Call-ID 482; a BYE nobody heard made room"
    )


async def _merged(known: call.OutgoingCall, tag: str) -> None:
    """The INVITE of a call that is there comes again; Failed unless it gets 482."""
    answer = await (await known.repeat(fresh=False, tag=tag)).final(call.WITHIN)
    if answer.status != 482:
        raise story.Failed(f"a second call with one Call-ID got {answer.start_line}")


async def trunk_limited(told: story.Story) -> str:
    """A trunk that is full takes no more calls, either way, until one of them ends."""
    lab = told.lab
    standing = []
    for _ in range(2):
        caller = await lab.pbx.dial(_CONTOSO.number, caller=addresses.PBX_NUMBER)
        callee = await lab.teams.next_leg(call_id=caller.call.invite.call_id)
        await told.connect(caller, callee)
        standing.append((caller, callee))
    await _refused(await lab.pbx.dial(_CONTOSO.number, caller=addresses.PBX_NUMBER), 503)
    to_it = lab.teams.dial(addresses.EXTENSION, caller=_CONTOSO.number, fqdn=_CONTOSO.fqdn)
    await _refused(await to_it, 503)
    caller, callee = standing.pop()
    await openings.hang_up(callee, caller)
    to_it = lab.teams.dial(addresses.EXTENSION, caller=_CONTOSO.number, fqdn=_CONTOSO.fqdn)
    caller = await to_it
    callee = await lab.pbx.next_leg(call_id=caller.call.invite.call_id)
    await told.connect(caller, callee)
    for one, other in ((caller, callee), *standing):
        await openings.hang_up(one, other)
    return "a full trunk got no third call and made none; when one ended, there was room"


async def barred(told: story.Story) -> str:
    """A customer calls a satellite, what it barred itself, and what it may call all the same."""
    lab = told.lab
    premium = ("+449098790123", "+499001234567")
    for number in ("+881612345678", "+4416329602001", "+97912345678", *premium):
        caller = await lab.teams.dial(number, caller=_ADATUM.number, fqdn=_ADATUM.fqdn)
        await _refused(caller, 403)
    # A PBX that was broken into is where most of such calls come from.
    await _refused(await lab.pbx.dial("+881612345678", caller=addresses.PBX_NUMBER), 403)
    for number in ("+881691234567", addresses.PSTN_NUMBER):
        caller = await lab.teams.dial(number, caller=_ADATUM.number, fqdn=_ADATUM.fqdn)
        callee = await lab.carrier_a.next_leg(call_id=caller.call.invite.call_id)
        await told.connect(caller, callee)
        await openings.hang_up(caller, callee)
    return "what is barred got 403, from a customer's PBX too; what is allowed was called"


async def shown(told: story.Story) -> str:
    """What trunks see of who calls: one number for all, or no number but the customer's own."""
    world = addresses.PSTN_NUMBER
    for who, dialled, main, own in (
        (_NORTHWIND, addresses.BRANCH_NUMBER, "+493055591", "+493055591"),
        (_FABRIKAM, addresses.SECURE_NUMBER, "+493055572", _FABRIKAM.number),
        (_ADATUM, world, "+493055588", _ADATUM.number),
    ):
        trusted = who is not _ADATUM
        callee = await _shows(told, who, dialled, (who.number, world), own)
        numbers.expect(_asserted_to(callee), main if trusted else "", "who that is")
        callee = await _shows(told, who, dialled, (world, who.number), main)
        numbers.expect(_asserted_to(callee), own if trusted else "", "who forwarded")
    hidden = (identity.ANONYMOUS, _ADATUM.number)
    await _shows(told, _ADATUM, world, hidden, "anonymous")
    await _shows(told, _ADATUM, "112", (addresses.CONTOSO_NUMBER, world), "+493055588")
    return "one number, own numbers, and nothing of who hides; the main number in a call for help"


async def helped(told: story.Story) -> str:
    """A customer's calls for help go to its porter first, and show the number to call back."""
    lab = told.lab
    back = "+493055561"
    hidden = leg.Wishes(
        extra=(
            ("P-Asserted-Identity", f"<sip:{_CONTOSO.number}@sip.pstnhub.microsoft.com>"),
            ("Privacy", "id"),
        )
    )
    for number, wishes in ((_CONTOSO.number, leg.USUAL), (identity.ANONYMOUS, hidden)):
        for status in (0, 302, 404, 486, 503, 603):
            caller = await lab.teams.dial("112", caller=number, fqdn=_CONTOSO.fqdn, wishes=wishes)
            callee = await lab.pbx.next_leg(call_id=caller.call.invite.call_id)
            _is_called_back(callee, back, back)
            if status:
                callee.refuse(status)
                callee = await lab.carrier_a.next_leg(call_id=caller.call.invite.call_id)
                _is_called_back(callee, back, "")
            await told.connect(caller, callee)
            await openings.hang_up(callee, caller)
    caller = await lab.teams.dial("112", caller=_CONTOSO.number, fqdn=_CONTOSO.fqdn)
    silent = await lab.pbx.next_leg(call_id=caller.call.invite.call_id)
    callee = await lab.carrier_a.next_leg(call_id=caller.call.invite.call_id)
    await silent.cancelled()
    await told.connect(caller, callee)
    await openings.hang_up(caller, callee)
    caller = await lab.teams.dial("113", caller=_CONTOSO.number, fqdn=_CONTOSO.fqdn)
    callee = await lab.pbx.next_leg(call_id=caller.call.invite.call_id)
    numbers.expect(numbers.calling(callee), _CONTOSO.number, "who calls no emergency number")
    callee.refuse(404)
    await _refused(caller, 404)
    return "the porter was asked first, then the carrier, whatever he said or did not say"


def _is_called_back(callee: leg.IncomingLeg, number: str, asserted: str) -> None:
    """Failed when a call for help shows another number, or hides it."""
    numbers.expect(numbers.calling(callee), number, "who calls for help")
    numbers.expect(_asserted_to(callee), asserted, "who that is")
    numbers.expect(numbers.told_by(callee.call.invite, "Privacy"), "", "Privacy")


async def _shows(
    told: story.Story, who: _Customer, dialled: str, callers: tuple[str, str], wanted: str
) -> leg.IncomingLeg:
    """A call of a customer's under two names, From and asserted; Failed when From is not this."""
    number, asserted = callers
    known = ("P-Asserted-Identity", f"<sip:{asserted}@sip.pstnhub.microsoft.com>")
    caller = await told.lab.teams.dial(
        dialled, caller=number, fqdn=who.fqdn, wishes=leg.Wishes(extra=(known,))
    )
    callee: leg.IncomingLeg
    callee = await getattr(told.lab, who.trunk).next_leg(call_id=caller.call.invite.call_id)
    numbers.expect(numbers.calling(callee), wanted, f"who calls {who.trunk} for {number}")
    await told.connect(caller, callee)
    await openings.hang_up(caller, callee)
    return callee


def _asserted_to(callee: leg.IncomingLeg) -> str:
    """The number that the trunk is told by P-Asserted-Identity, or nothing."""
    told = numbers.told_by(callee.call.invite, "P-Asserted-Identity")
    return told.removeprefix("<sip:").removesuffix(f"@{addresses.SBC_LAN}>")


async def _from_northwind(told: story.Story, number: str) -> leg.OutgoingLeg:
    return await told.lab.teams.dial(number, caller=_NORTHWIND.number, fqdn=_NORTHWIND.fqdn)


async def another_number(told: story.Story) -> str:
    """A customer may not call under a number of another's (H4, MT-3)."""
    caller = await told.lab.teams.dial(
        addresses.PBX_NUMBER, caller=addresses.CONTOSO_NUMBER, fqdn=addresses.FABRIKAM
    )
    await _refused(caller, 403)
    caller = await told.lab.teams.dial(
        addresses.PBX_NUMBER, caller=addresses.TEAMS_NUMBER, fqdn=addresses.NOBODY
    )
    await _refused(caller, 404)
    for trunk in (told.lab.pbx, told.lab.branch, told.lab.carrier_a):
        if trunk.waiting_calls:
            raise story.Failed(f"the call reached {trunk.settings.name}")
    for fqdn in (addresses.ADATUM, addresses.NOBODY):
        caller = await told.lab.teams.dial("112", caller=addresses.CONTOSO_NUMBER, fqdn=fqdn)
        callee = await told.lab.carrier_a.next_leg(call_id=caller.call.invite.call_id)
        await told.connect(caller, callee)
        await openings.hang_up(caller, callee)
    return "contoso's number under fabrikam's name got 403, a name of nobody's 404, and both help"


async def another_trunk(told: story.Story) -> str:
    """A customer's PBX reaches no other customer's Teams, nor does the shared carrier."""
    lab = told.lab
    tries: tuple[tuple[pbx.Pbx, str], ...] = (
        (lab.pbx, addresses.FABRIKAM_NUMBER),
        (lab.branch, addresses.CONTOSO_NUMBER),
        (lab.pbx, addresses.ADATUM_NUMBER),
        (lab.carrier_a, addresses.CONTOSO_NUMBER),
        (lab.carrier_a, addresses.EXTENSION),
    )
    for trunk, number in tries:
        await _refused(await trunk.dial(number, caller=addresses.PSTN_NUMBER), 404)
    if lab.teams.waiting_calls:
        raise story.Failed("a call reached Teams")
    return f"{len(tries)} calls to users of others got 404, none reached Teams"


async def pinged(told: story.Story) -> str:
    """Microsoft is asked OPTIONS under the provider's name alone (H5)."""
    came = told.lab.teams.books.came
    for host in addresses.TEAMS_HOSTS:
        await came.first(
            lambda ping, host=host: ping.host == host and ping.status == 200,  # type: ignore[misc]
            within=5.0,
            what=f"OPTIONS at {host}",
        )
    # 503 is what stories before this one had Microsoft say.
    asked = [each for each in came.entries if each.status not in (200, 503)]
    if asked:
        raise story.Failed(f"OPTIONS were answered by {asked[0].status}")
    return "one name asked OPTIONS, three customers had calls"


async def _whole_call(told: story.Story, caller: leg.OutgoingLeg, callee: leg.IncomingLeg) -> None:
    """Ring, answer, refresh from both sides, and hang up from the side that was called."""
    told.track("who calls", caller)
    told.track("who is called", callee)
    await told.connect(caller, callee)
    for one in (caller, callee):
        await told.still_heard()
        answer = await one.refresh()
        if answer.status != 200:
            raise story.Failed(f"a refresh was answered by {answer.start_line}")
    await told.talk()
    await openings.hang_up(callee, caller)


async def _refused(caller: leg.OutgoingLeg, status: int) -> None:
    answer = await caller.call.final()
    caller.close()
    if answer.status != status:
        raise story.Failed(f"the caller got {answer.start_line} instead of {status}")


def _name_of(callee: leg.IncomingLeg) -> str:
    return callee.call.invite.contacts[0].uri.partition("@")[2].partition(":")[0]


def _story(
    name: str, title: str, tell: Callable[..., Awaitable[str]], **more: object
) -> story.Scenario:
    return story.Scenario(
        name, title, ("MT-1", "MT-2", "SIG-20"), partial(tell, **more), site=HOSTING
    )


_PSTN, _EXTENSION = addresses.PSTN_NUMBER, addresses.EXTENSION
_PBX, _TLS = addresses.PBX_NUMBER, addresses.SECURE_NUMBER

SCENARIOS: tuple[story.Scenario, ...] = (
    _story("contoso-calls", "contoso calls its 100", calls, who=_CONTOSO, dialled=_EXTENSION),
    _story("fabrikam-calls", "fabrikam calls its 100", calls, who=_FABRIKAM, dialled=_EXTENSION),
    _story("adatum-calls", "a shared carrier", calls, who=_ADATUM, dialled=_PSTN),
    _story("contoso-called", "contoso is called", called, who=_CONTOSO, caller_id=_PBX),
    _story("fabrikam-called", "so is fabrikam", called, who=_FABRIKAM, caller_id=_TLS),
    _story("adatum-called", "by a shared carrier", called, who=_ADATUM, caller_id=_PSTN),
    story.Scenario(
        "tenant-number", "a number of another customer", ("MT-3",), another_number, site=HOSTING
    ),
    story.Scenario(
        "tenant-trunk", "another customer's users", ("MT-3",), another_trunk, site=HOSTING
    ),
    story.Scenario(
        "tenant-transfer", "a customer transfers", ("MT-1", "XF-2"), transferred, site=HOSTING
    ),
    story.Scenario("tenant-caller", "whom trunks see", ("SIG-22", "MT-3"), shown, site=HOSTING),
    story.Scenario("tenant-help", "a customer calls for help", ("EM-2",), helped, site=HOSTING),
    story.Scenario("tenant-barred", "a satellite is called", ("SIG-26",), barred, site=HOSTING),
    story.Scenario("trunk-limit", "a trunk's limit", ("SIG-26",), trunk_limited, site=HOSTING),
    story.Scenario("tenant-limit", "a customer's limit", ("SIG-26",), limited, site=HOSTING),
    story.Scenario("tenant-tricks", "ways around a limit", ("SIG-36",), tricked, site=HOSTING),
    story.Scenario(
        "tenant-options", "OPTIONS of one name", ("MT-1", "OPT-11"), pinged, site=HOSTING
    ),
)
"""The stories of customers who share an SBC, in the order they are told."""
