"""Phones that register here: with each other, and from behind a router that translates."""

from __future__ import annotations

from orchestrator.lab import addresses, story
from orchestrator.lab.scenarios import openings

SITE = "02-company"


async def desk_calls_reception(told: story.Story) -> str:
    """Two phones on the same network."""
    lab = told.lab
    await openings.register(lab, lab.phone, lab.desk)
    caller, callee = await openings.phone_to_phone(
        told, lab.desk, lab.phone, addresses.PHONE_NUMBER
    )
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "registered, one phone called the other, audio both ways"


async def teams_calls_desk(told: story.Story) -> str:
    """A phone over TCP is called on the connection it registered by, and Teams hangs up on it."""
    lab = told.lab
    await openings.register(lab, lab.desk)
    caller = await lab.teams.dial(addresses.DESK_NUMBER, caller=addresses.TEAMS_NUMBER)
    told.track("Teams hears the desk", caller)
    callee = await lab.desk.next_leg()
    told.track("the desk hears Teams", callee)
    if callee.call.server.flow.transport != "tcp":
        raise story.Failed("the phone registered by TCP and was called by something else")
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "registered and called by TCP, audio both ways, Teams hung up"


async def home_calls_reception(told: story.Story) -> str:
    """The caller's Contact and SDP name an address that nobody outside its home can reach."""
    lab = told.lab
    await openings.register(lab, lab.home, lab.phone)
    caller, callee = await openings.phone_to_phone(
        told, lab.home, lab.phone, addresses.PHONE_NUMBER
    )
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "registered and called through a router that translates, audio both ways"


async def reception_calls_home(told: story.Story) -> str:
    """The phone is reached through its router, and hangs up from behind it."""
    lab = told.lab
    await openings.register(lab, lab.home, lab.phone)
    caller, callee = await openings.phone_to_phone(
        told, lab.phone, lab.home, addresses.HOME_NUMBER
    )
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "called through the router, audio both ways, the phone at home hung up"


async def teams_calls_home(told: story.Story) -> str:
    """Teams calls and hangs up: its BYE must find the way through the router."""
    lab = told.lab
    await openings.register(lab, lab.home)
    caller = await lab.teams.dial(addresses.HOME_NUMBER, caller=addresses.TEAMS_NUMBER)
    told.track("Teams hears the phone at home", caller)
    callee = await lab.home.next_leg()
    told.track("the phone at home hears Teams", callee)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "called through the router, audio both ways, Teams hung up"


async def home_calls_teams(told: story.Story) -> str:
    """The phone at home calls Teams, which refreshes the call and hangs up."""
    lab = told.lab
    await openings.register(lab, lab.home)
    caller = await lab.home.dial(addresses.TEAMS_NUMBER)
    told.track("the phone at home hears Teams", caller)
    callee = await lab.teams.next_leg()
    told.track("Teams hears the phone at home", callee)
    await told.connect(caller, callee)
    await told.listen(story.TALK // 2)
    answer = await callee.call.renegotiate(callee.call.local_sdp, fresh=True)
    if answer.status != 200:
        raise story.Failed(f"the refresh was answered by {answer.start_line}")
    await told.talk(story.TALK + story.TALK // 2)
    await openings.hang_up(callee, caller)
    return "called from behind the router, refreshed by Teams, audio both ways, Teams hung up"


async def home_calls_office(told: story.Story) -> str:
    """The phone at home calls an extension of the PBX, which hangs up."""
    lab = told.lab
    await openings.register(lab, lab.home)
    caller = await lab.home.dial(addresses.PBX_NUMBER)
    told.track("the phone at home hears the PBX", caller)
    callee = await lab.pbx.next_leg()
    told.track("the PBX hears the phone at home", callee)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "called from behind the router, audio both ways, the PBX hung up"


async def office_calls_home(told: story.Story) -> str:
    """A PBX calls the phone at home and hangs up."""
    lab = told.lab
    await openings.register(lab, lab.home)
    caller = await lab.pbx.dial(addresses.HOME_NUMBER, caller=addresses.PBX_NUMBER)
    told.track("the PBX hears the phone at home", caller)
    callee = await lab.home.next_leg()
    told.track("the phone at home hears the PBX", callee)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "called through the router, audio both ways, the PBX hung up"


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "desk-to-reception",
        "one phone calls another",
        ("SIG-35",),
        desk_calls_reception,
        site=SITE,
    ),
    story.Scenario(
        "teams-to-desk",
        "Teams calls a phone over TCP",
        ("SIG-12", "SIG-20", "SIG-21"),
        teams_calls_desk,
        site=SITE,
    ),
    story.Scenario(
        "home-to-reception",
        "a phone behind NAT calls another",
        ("SIG-35",),
        home_calls_reception,
        site=SITE,
    ),
    story.Scenario(
        "reception-to-home",
        "a phone calls one behind NAT",
        ("SIG-35",),
        reception_calls_home,
        site=SITE,
    ),
    story.Scenario(
        "teams-to-home",
        "Teams calls a phone behind NAT",
        ("SIG-12", "SIG-20", "SIG-21", "MED-1", "MED-2", "MED-15"),
        teams_calls_home,
        site=SITE,
    ),
    story.Scenario(
        "home-to-teams",
        "a phone behind NAT calls Teams",
        ("SIG-1", "SIG-2", "SIG-9", "SIG-30", "SIG-36", "MED-6", "MED-7"),
        home_calls_teams,
        site=SITE,
    ),
    story.Scenario(
        "home-to-office",
        "a phone behind NAT calls the PBX",
        ("SIG-35",),
        home_calls_office,
        site=SITE,
    ),
    story.Scenario(
        "office-to-home",
        "a PBX calls a phone behind NAT",
        ("SIG-35",),
        office_calls_home,
        site=SITE,
    ),
)
"""In the order they are told."""
