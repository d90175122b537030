"""Numbers: each trunk writes them in its own way, and Teams and the routes see E.164."""

from __future__ import annotations

from orchestrator.lab import addresses, leg, story
from orchestrator.lab.scenarios import openings
from orchestrator.sip import message, uri

SITE = "05-callers"


async def office_dials_nationally(told: story.Story) -> str:
    """The PBX writes 030..., Teams sees +4930..., and each gets its own names back."""
    lab = told.lab
    caller = await lab.pbx.dial("03055510", caller="03055520")
    told.track("PBX hears Teams", caller)
    callee = await lab.teams.next_leg(call_id=caller.call.invite.call_id)
    told.track("Teams hears the PBX", callee)
    expect(called(callee), addresses.TEAMS_NUMBER, "what Teams is called")
    expect(calling(callee), addresses.PBX_NUMBER, "who calls Teams")
    await told.connect(caller, callee)
    await told.still_heard(25)
    await caller.hold("sendonly")
    await caller.resume()
    await callee.hold()
    await callee.resume()
    await told.talk()
    await openings.hang_up(callee, caller)
    return "030... became +4930... and back, also in holds of both sides and in the BYE"


async def teams_calls_in_forms(told: story.Story) -> str:
    """One number of Teams in three forms, for three trunks."""
    lab = told.lab
    found = []
    for trunk, number, wanted, own in (
        (lab.pbx, addresses.PBX_NUMBER, "03055520", "03055510"),
        (lab.branch, addresses.BRANCH_NUMBER, "493055530", "493055530"),
        (lab.carrier_a, addresses.PSTN_NUMBER, "00441632960100", "00493055510"),
    ):
        caller = await lab.teams.dial(number, caller=addresses.TEAMS_NUMBER)
        callee = await trunk.next_leg(call_id=caller.call.invite.call_id)
        expect(called(callee), wanted, f"what {trunk.settings.name} is called")
        expect(user(callee.call.invite.to), wanted, f"To at {trunk.settings.name}")
        expect(calling(callee), own, f"who calls {trunk.settings.name}")
        await told.connect(caller, callee)
        await callee.refresh()
        await caller.refresh()
        await openings.hang_up(callee, caller)
        found.append(wanted)
    return f"called {', '.join(found)}; refreshed by both, hung up by the callee"


async def teams_dials_an_extension(told: story.Story) -> str:
    """``;ext=`` reaches the PBX that wants it, and not the one that does not."""
    lab = told.lab
    for trunk, number, wanted in (
        (lab.pbx, addresses.PBX_NUMBER, "03055520;ext=77"),
        (lab.branch, addresses.BRANCH_NUMBER, "493055530"),
    ):
        caller = await lab.teams.dial(f"{number};ext=77", caller=addresses.TEAMS_NUMBER)
        callee = await trunk.next_leg(call_id=caller.call.invite.call_id)
        expect(called(callee), wanted, f"what {trunk.settings.name} is called")
        await told.connect(caller, callee)
        await openings.hang_up(caller, callee)
    return "kept for one PBX, dropped for the other"


async def service_numbers(told: story.Story) -> str:
    """What is no whole number is nobody's to change: 112 and 116117."""
    lab = told.lab
    for number in ("112", "116117"):
        caller = await lab.pbx.dial(number, caller="03055520")
        callee = await lab.carrier_a.next_leg(call_id=caller.call.invite.call_id)
        expect(called(callee), number, "what the carrier is called")
        await told.connect(caller, callee)
        await openings.hang_up(caller, callee)
    return "112 and 116117 passed as they were dialled"


def user(address: uri.NameAddr) -> str:
    """The user part of an address."""
    return uri.parse_uri(address.uri).user or ""


def called(callee: leg.IncomingLeg) -> str:
    """The user part of the Request-URI."""
    return uri.parse_uri(callee.call.invite.target).user or ""


def calling(callee: leg.IncomingLeg) -> str:
    """The user part of From."""
    return user(callee.call.invite.from_)


def expect(found: object, wanted: object, what: str) -> None:
    """Failed unless both are the same."""
    if found != wanted:
        raise story.Failed(f"{what}: {found!r} instead of {wanted!r}")


def told_by(invite: message.Request, name: str) -> str:
    """The values of a header as one, or nothing."""
    return ", ".join(invite.values(name))


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "numbers-national",
        "a PBX that writes national numbers calls Teams",
        ("SIG-1", "SIG-2"),
        office_dials_nationally,
        site=SITE,
    ),
    story.Scenario(
        "numbers-forms",
        "Teams calls trunks that write numbers differently",
        ("SIG-21",),
        teams_calls_in_forms,
        site=SITE,
    ),
    story.Scenario(
        "numbers-extension",
        "Teams dials an extension",
        ("SIG-21",),
        teams_dials_an_extension,
        site=SITE,
    ),
    story.Scenario(
        "numbers-service",
        "a PBX dials services",
        ("SIG-21",),
        service_numbers,
        site=SITE,
    ),
)
"""In the order they are told."""
