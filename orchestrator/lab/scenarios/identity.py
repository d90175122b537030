"""Who calls: what each side learns about a caller, and about who forwarded the call before."""

from __future__ import annotations

from orchestrator.lab import addresses, leg, pbx, story
from orchestrator.lab.scenarios import numbers, openings

SITE = numbers.SITE

MAIN = "+493055500"
"""The number that the carrier knows the company by."""

_MOBILE = "+441632960199"
"""Where a Teams user forwards to; behind the carrier as well."""

_HUB = "sip.pstnhub.microsoft.com"
_MOVED = "Reason=SIP%3Bcause%3D302%3Btext%3D%22Moved%20Temporarily%22"
_ENTRIES = (
    f"<sip:{addresses.TEAMS_NUMBER}@{_HUB}:5061;user=phone?{_MOVED}>;index=1",
    f"<sip:{_MOBILE}@{_HUB}:5061;user=phone>;index=1.1",
)
_HISTORY = ("History-Info", ",".join(_ENTRIES))
_REFERRED = ("Referred-By", f"<sip:{addresses.TEAMS_NUMBER}@{_HUB}:5061;user=phone>")
FORWARDED = leg.Wishes(extra=(_HISTORY, _REFERRED))
"""What Teams says of a call that a user forwarded (ForwardCallHistory)."""

PRIVATE = leg.Wishes(
    extra=(
        ("P-Asserted-Identity", f"<tel:{addresses.TEAMS_NUMBER}>"),
        ("P-Asserted-Identity", f"<sip:{addresses.TEAMS_NUMBER}@{_HUB}:5061;user=phone>"),
        ("Privacy", "id"),
    )
)
"""What Teams says of a user who hides the number (ForwardPai)."""

ANONYMOUS = "anonymous@anonymous.invalid"


async def main_number(told: story.Story) -> str:
    """The branch sees one number for all callers, and Teams its own user in every answer."""
    lab = told.lab
    caller, callee = await openings.teams_to_trunk(told, lab.branch, addresses.BRANCH_NUMBER)
    numbers.expect(numbers.calling(callee), "493055530", "who calls the branch")
    asserted = numbers.told_by(callee.call.invite, "P-Asserted-Identity")
    if "sip:493055530@" not in asserted:
        raise story.Failed(f"the branch is told {asserted!r} instead of the main number")
    await told.connect(caller, callee)
    await told.still_heard(25)
    await callee.hold("sendonly")
    await callee.resume()
    await caller.hold()
    await caller.resume()
    await told.talk()
    await openings.hang_up(callee, caller)
    return "one number shown, the caller's own back in every message to Teams"


async def forwarded_to_the_world(told: story.Story) -> str:
    """A call from the world is forwarded to a mobile; the carrier refuses callers it is not ours.

    Teams rings the mobile as a call of its own (also when both ring at once), and connects the
    two by itself.
    """
    lab = told.lab
    first = await lab.carrier_a.dial("03055510", caller="00441632960100")
    rung = await lab.teams.next_leg(call_id=first.call.invite.call_id)
    rung.ring()
    await first.call.status(180)
    numbers.expect(numbers.calling(rung), addresses.PSTN_NUMBER, "who calls Teams")

    caller, callee = await _dial(told, lab.carrier_a, addresses.PSTN_NUMBER, FORWARDED)
    invite = callee.call.invite
    numbers.expect(numbers.calling(callee), "00493055500", "who calls the mobile")
    wanted = f"<sip:00493055510@{addresses.SBC_LAN}>;reason=unconditional"
    numbers.expect(numbers.told_by(invite, "Diversion"), wanted, "Diversion at the carrier")
    await told.connect(caller, callee)
    rung.answer()
    await first.connected()
    await rung.confirmed()
    await told.talk()
    await openings.hang_up(callee, caller)
    await openings.hang_up(first, rung)
    return "the carrier saw the main number and who forwarded, and both calls stood"


async def own_number_passes(told: story.Story) -> str:
    """A user's own number is in the carrier's list, so it is shown; so is a service number."""
    lab = told.lab
    for number in (addresses.TEAMS_NUMBER, "+493055599"):
        caller, callee = await _dial(told, lab.carrier_a, number, leg.USUAL)
        numbers.expect(numbers.calling(callee), f"00{number[1:]}", "who calls the carrier")
        await told.connect(caller, callee)
        await openings.hang_up(caller, callee)
    return "two numbers of the company passed as they were"


async def other_policy_on_failover(told: story.Story) -> str:
    """The first carrier is down; the second one sees the first caller, for it may."""
    lab = told.lab
    caller = await lab.teams.dial(_MOBILE, caller=addresses.PSTN_NUMBER, wishes=FORWARDED)
    refuser = await lab.carrier_a.next_leg(call_id=caller.call.invite.call_id)
    numbers.expect(numbers.calling(refuser), "00493055500", "who calls the first carrier")
    refuser.refuse(503)
    callee = await lab.carrier_b.next_leg(call_id=caller.call.invite.call_id)
    told.track("Teams hears the carrier", caller)
    told.track("the carrier hears Teams", callee)
    numbers.expect(numbers.calling(callee), addresses.PSTN_NUMBER, "who calls the second")
    numbers.expect(numbers.called(callee), _MOBILE, "what the second is called")
    numbers.expect(numbers.told_by(callee.call.invite, "Diversion"), "", "Diversion there")
    await told.connect(caller, callee)
    await told.still_heard(25)
    await callee.refresh()
    await caller.refresh()
    await told.talk()
    await openings.hang_up(callee, caller)
    return "main number at the first carrier, first caller at the second, names kept in the call"


async def anonymous_both_ways(told: story.Story) -> str:
    """An anonymous caller is nobody on the other side, and a call all the same."""
    lab = told.lab
    hidden = leg.Wishes(extra=(("Privacy", "id"),))
    caller = await lab.pbx.dial("03055510", caller="03055520", wishes=hidden)
    callee = await lab.teams.next_leg(call_id=caller.call.invite.call_id)
    _anonymous(callee, "Teams")
    await told.connect(caller, callee)
    await callee.refresh()
    await openings.hang_up(callee, caller)

    caller, callee = await _dial(told, lab.carrier_a, ANONYMOUS, leg.USUAL)
    _anonymous(callee, "the carrier")
    await told.connect(caller, callee)
    await callee.refresh()
    await openings.hang_up(callee, caller)
    return "From was anonymous at Teams and at the carrier, in the call each kept its names"


async def carrier_asserts(told: story.Story) -> str:
    """The carrier's From is what the caller said, its P-Asserted-Identity who that is."""
    lab = told.lab
    known = ("P-Asserted-Identity", "<sip:00441632960100@192.0.2.41;user=phone>")
    wishes = leg.Wishes(extra=(known,), without=("P-Asserted-Identity",))
    caller = await lab.carrier_a.dial("00493055510", caller="00441632960777", wishes=wishes)
    callee = await lab.teams.next_leg(call_id=caller.call.invite.call_id)
    numbers.expect(numbers.calling(callee), addresses.PSTN_NUMBER, "who calls Teams")
    await told.connect(caller, callee)
    await callee.refresh()
    await openings.hang_up(callee, caller)
    return "Teams saw who the carrier knows it is"


async def private_to_the_trusted(told: story.Story) -> str:
    """Teams hides a user: our PBX learns who it is and that it is private, the carrier nothing."""
    lab = told.lab
    caller = await lab.teams.dial(addresses.PBX_NUMBER, caller=ANONYMOUS, wishes=PRIVATE)
    callee = await lab.pbx.next_leg(call_id=caller.call.invite.call_id)
    asserted = numbers.told_by(callee.call.invite, "P-Asserted-Identity")
    numbers.expect(asserted, f"<sip:03055510@{addresses.SBC_LAN}>", "who the PBX is told calls")
    numbers.expect(numbers.told_by(callee.call.invite, "Privacy"), "id", "Privacy at the PBX")
    await told.connect(caller, callee)
    await openings.hang_up(callee, caller)

    for own in (ANONYMOUS, addresses.TEAMS_NUMBER):
        caller, callee = await _dial(told, lab.carrier_a, own, PRIVATE)
        _anonymous(callee, "the carrier")
        if addresses.TEAMS_NUMBER[1:] in callee.call.invite.serialise().decode():
            raise story.Failed("the carrier can read who called")
        await told.connect(caller, callee)
        await openings.hang_up(caller, callee)
    return "our PBX was told and asked to keep it, the carrier learned nothing"


async def history_for_the_pbx(told: story.Story) -> str:
    """Our PBX reads who forwarded a call, with the SBC's address in place of Microsoft's."""
    lab = told.lab
    caller = await lab.teams.dial(
        addresses.PBX_NUMBER, caller=addresses.PSTN_NUMBER, wishes=FORWARDED
    )
    callee = await lab.pbx.next_leg(call_id=caller.call.invite.call_id)
    history = numbers.told_by(callee.call.invite, "History-Info")
    wanted = _HISTORY[1].replace(f"@{_HUB}:5061", f"@{addresses.SBC_LAN}")
    numbers.expect(history, wanted, "History-Info at the PBX")
    numbers.expect(numbers.calling(callee), "00441632960100", "who calls the PBX")
    await told.connect(caller, callee)
    await openings.hang_up(callee, caller)
    return "History-Info and Referred-By reached the PBX without a name of Microsoft's"


async def history_becomes_diversion(told: story.Story) -> str:
    """Every way to say who forwarded becomes Diversion, the latest first, in the right form."""
    lab = told.lab
    one, other = f"+493055511@{_HUB};user=phone", f"+493055512@{_HUB}:5061;user=phone"
    ours = f"<sip:00493055511@{addresses.SBC_LAN}>", f"<sip:00493055512@{addresses.SBC_LAN}>"
    plain = f'<sip:{one}?Reason=SIP;cause=486;text="Busy, really">;index=1'
    for said, wanted in (
        ((f"<sip:{one}?Reason=SIP%3bcause%3d408>;index=1",), f"{ours[0]};reason=no-answer"),
        ((plain, f"<sip:{_MOBILE}@{_HUB}>;index=2"), f"{ours[0]};reason=user-busy"),
        ((f'"A, B" <sip:{one}?Reason=Q.850;cause=17>;index=1',), f"{ours[0]};reason=unknown"),
        (
            (plain, f"<sip:{other}?Reason=SIP%3Bcause%3D302>;index=1.1"),
            f"{ours[1]};reason=unconditional, {ours[0]};reason=user-busy",
        ),
        ((f"<sip:{one}>;index=1,<sip:{other}>;index=1.1",), ""),
        ((f"<sip:anonymous@{_HUB}?Reason=SIP%3Bcause%3D302>;index=1",), ""),
    ):
        wishes = leg.Wishes(extra=tuple(("History-Info", each) for each in said))
        caller, callee = await _dial(told, lab.carrier_a, addresses.TEAMS_NUMBER, wishes)
        found = numbers.told_by(callee.call.invite, "Diversion")
        callee.refuse(486)
        await caller.call.final()
        numbers.expect(found, wanted, f"Diversion out of {said}")

    diverted = ("Diversion", '"Lab" <sip:03055521@192.0.2.20;x-line=1>;reason=user-busy')
    wishes = leg.Wishes(extra=(diverted,), without=("Diversion",))
    caller = await lab.pbx.dial("00441632960199", caller="03055520", wishes=wishes)
    callee = await lab.carrier_a.next_leg(call_id=caller.call.invite.call_id)
    wanted = f"<sip:00493055521@{addresses.SBC_LAN}>;reason=user-busy"
    callee.refuse(486)
    await caller.call.final()
    numbers.expect(numbers.told_by(callee.call.invite, "Diversion"), wanted, "the PBX's own")
    return "six histories of Teams and a Diversion of the PBX, each as the carrier reads it"


async def nothing_of_this_for_teams(told: story.Story) -> str:
    """Who was called before, and who answered: Teams is told neither, in whatever message."""
    lab = told.lab
    gossip = leg.Wishes(extra=(("History-Info", "<sip:03055521@192.0.2.20>;index=1"),))
    caller = await lab.pbx.dial("03055510", caller="03055520", wishes=gossip)
    callee = await lab.teams.next_leg(call_id=caller.call.invite.call_id)
    await told.connect(caller, callee)
    await caller.refresh(extra=_WHO)
    await openings.hang_up(caller, callee)

    caller, callee = await openings.teams_to_pbx(told)
    callee.ring(extra=_WHO)
    await caller.call.status(180)
    callee.answer(extra=_WHO)
    await caller.connected()
    await callee.confirmed()
    await openings.hang_up(callee, caller)

    caller, callee = await openings.trunk_to_trunk(
        told, lab.carrier_a, "00441632960100", lab.pbx, "03055520"
    )
    callee.answer(extra=_WHO)
    await caller.connected()
    await callee.confirmed()
    await openings.hang_up(callee, caller)
    return "neither in calls, nor in answers, nor to the carrier that called the PBX"


_WHO = (
    ("P-Asserted-Identity", "<sip:03055520@192.0.2.20>"),
    ("Remote-Party-ID", "<sip:03055520@192.0.2.20>;party=called"),
    ("Privacy", "none"),
)


async def _dial(
    told: story.Story, carrier: pbx.Pbx, own: str, wishes: leg.Wishes
) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """Teams has called the mobile as *own*, and the call is at the carrier: both ends."""
    caller = await told.lab.teams.dial(_MOBILE, caller=own, wishes=wishes)
    told.track("Teams hears the mobile", caller)
    callee = await carrier.next_leg(call_id=caller.call.invite.call_id)
    told.track("the mobile hears Teams", callee)
    return caller, callee


def _anonymous(callee: leg.IncomingLeg, who: str) -> None:
    shown = str(callee.call.invite.from_).partition(";tag=")[0]
    numbers.expect(shown, '"Anonymous" <sip:anonymous@anonymous.invalid>', f"From at {who}")


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "caller-main", "a trunk that sees one number", ("SIG-12",), main_number, site=SITE
    ),
    story.Scenario(
        "caller-forwarded",
        "Teams forwards a call from the world to a mobile",
        ("SIG-22", "SIG-24", "XF-12"),
        forwarded_to_the_world,
        site=SITE,
    ),
    story.Scenario(
        "caller-own",
        "numbers of the company at the carrier",
        ("SIG-22", "XF-12"),
        own_number_passes,
        site=SITE,
    ),
    story.Scenario(
        "caller-failover",
        "the second carrier has another policy",
        ("SIG-22", "XF-12", "SIG-35"),
        other_policy_on_failover,
        site=SITE,
    ),
    story.Scenario(
        "caller-anonymous",
        "anonymous callers both ways",
        ("SIG-2", "SIG-22"),
        anonymous_both_ways,
        site=SITE,
    ),
    story.Scenario(
        "caller-asserted",
        "a carrier that knows the true caller",
        ("SIG-3",),
        carrier_asserts,
        site=SITE,
    ),
    story.Scenario(
        "caller-private",
        "Teams hides a user",
        ("SIG-22", "SIG-23"),
        private_to_the_trusted,
        site=SITE,
    ),
    story.Scenario(
        "history-for-pbx",
        "a forwarded call reaches a PBX",
        ("SIG-24",),
        history_for_the_pbx,
        site=SITE,
    ),
    story.Scenario(
        "history-as-diversion",
        "who forwarded, for a carrier",
        ("SIG-24", "SIG-35"),
        history_becomes_diversion,
        site=SITE,
    ),
    story.Scenario(
        "history-not-for-teams",
        "what Teams is not told",
        ("SIG-8", "SIG-23", "SIG-35"),
        nothing_of_this_for_teams,
        site=SITE,
    ),
)
"""In the order they are told."""
