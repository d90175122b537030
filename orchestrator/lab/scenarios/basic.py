"""The first calls: OPTIONS, Teams and the PBX, Teams and a phone, busy, cancelled, refreshed."""

from __future__ import annotations

from functools import partial

from orchestrator.lab import addresses, call, memory, story
from orchestrator.lab.scenarios import openings

OPTIONS_WITHIN = 65.0
"""Seconds until each of Microsoft's names got OPTIONS: one interval and a little (OPT-1)."""

_TRANSPORT = ("TLS-1", "TLS-2", "TLS-3", "CERT-1", "CERT-3", "EKU-1")
_IDENTITY = ("SIG-4", "SIG-5", "SIG-12", "SIG-35", "XF-1")
_MEDIA = (
    "MED-1", "MED-2", "MED-3", "MED-4", "MED-11", "MED-12", "MED-15", "MED-16", "MED-17",
)  # fmt: skip
_TO_TEAMS = ("SIG-1", "SIG-2", "SIG-7", "SIG-9")
_FROM_TEAMS = ("SIG-20",)


async def options_both_ways(told: story.Story) -> str:
    """Each of the three names gets OPTIONS, and gets an answer to its own."""
    books = told.lab.teams.books
    # What apply asked has come by now; nobody waits a minute for an SBC that was refused.
    within = call.WITHIN if books.broken.entries else OPTIONS_WITHIN
    for host in addresses.TEAMS_HOSTS:
        at_host = partial(_is_at, host)
        what = f"OPTIONS at {host}"
        came = await books.came.first(at_host, within=within, what=what)
        if came.status != 200:
            raise story.Failed(f"{host} answered the SBC's OPTIONS by {came.status}")
        what = f"the SBC's answer to OPTIONS of {host}"
        sent = await books.sent.first(at_host, within=call.WITHIN, what=what)
        if sent.status != 200:
            raise story.Failed(f"the SBC answered OPTIONS of {host} by {sent.status}")
    return "OPTIONS pass both ways at sip, sip2 and sip3"


async def teams_calls_pbx(told: story.Story) -> str:
    """Answered; Microsoft hangs up from another of its addresses, on a new connection (EP-5)."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.talk()
    other = addresses.TEAMS_HOSTS["sip2.pstnhub.microsoft.com"]
    await openings.hang_up(caller, callee, source=other)
    return "answered, audio both ways, Teams hung up from another address"


async def pbx_calls_teams(told: story.Story) -> str:
    """Answered; the PBX hangs up."""
    caller, callee = await openings.pbx_to_teams(told)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "answered, audio both ways, the PBX hung up"


async def teams_calls_phone(told: story.Story) -> str:
    """The phone registers, is found and answers; it hangs up."""
    await openings.register(told.lab)
    caller, callee = await openings.teams_to_phone(told)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "registered, answered, audio both ways, the phone hung up"


async def phone_calls_teams(told: story.Story) -> str:
    """The phone registers, proves itself again in its INVITE, and Teams answers."""
    await openings.register(told.lab)
    caller, callee = await openings.phone_to_teams(told)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "registered, answered, audio both ways, the phone hung up"


async def pbx_is_busy(told: story.Story) -> str:
    """The PBX says 486; Teams gets just that."""
    caller, callee = await openings.teams_to_pbx(told)
    callee.refuse(486)
    answer = await caller.connected()
    if answer.status != 486:
        raise story.Failed(f"the PBX said 486, Teams got {answer.start_line}")
    return "the PBX was busy, Teams got 486"


async def teams_is_busy(told: story.Story) -> str:
    """Teams says 486 with its cause 34; the PBX gets 486 without it, and Teams one call only."""
    caller, callee = await openings.pbx_to_teams(told)
    callee.refuse(486, extra=(("Reason", 'Q.850;cause=34;text="lab;Busy Here"'),))
    answer = await caller.connected()
    if answer.status != 486:
        raise story.Failed(f"Teams said 486, the PBX got {answer.start_line}")
    if told.lab.teams.waiting_calls:
        raise story.Failed("Teams was called again after it had declined (SIG-15)")
    await openings.refused_once(caller)
    return "Teams was busy, the PBX got 486"


async def teams_cancels(told: story.Story) -> str:
    """Teams gives up while the PBX rings."""
    caller, callee = await openings.teams_to_pbx(told)
    await openings.cancel(caller, callee)
    return "cancelled while the PBX rang"


async def pbx_cancels(told: story.Story) -> str:
    """The PBX gives up while Teams rings."""
    caller, callee = await openings.pbx_to_teams(told)
    await openings.cancel(caller, callee)
    return "cancelled while Teams rang"


async def pbx_hangs_up(told: story.Story) -> str:
    """Teams called, closed its connections, and the callee hangs up: the SBC must dial anew."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.talk()
    await told.lab.teams.drop_connections()
    await openings.hang_up(callee, caller)
    return "answered, audio both ways, the callee hung up over a new connection"


async def teams_hangs_up(told: story.Story) -> str:
    """The PBX called, and the callee, Teams, hangs up."""
    caller, callee = await openings.pbx_to_teams(told)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "answered, audio both ways, the callee hung up"


async def teams_refreshes(told: story.Story) -> str:
    """Teams sends its offer again during the call; port, key and audio stay (SIG-30)."""
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.listen(story.TALK // 2)
    answer = await caller.call.renegotiate(caller.call.local_sdp, fresh=True)
    if answer.status != 200:
        raise story.Failed(f"the refresh was answered by {answer.start_line}")
    await told.talk(story.TALK + story.TALK // 2)
    await openings.hang_up(caller, callee)
    return "answered, refreshed, audio both ways before and after"


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "options",
        "OPTIONS both ways, all three names",
        ("OPT-2", "OPT-3", "OPT-4", "OPT-5", "OPT-6", "OPT-7", "OPT-9", "SIG-34", "TLS-4",
         "TLS-5", "EKU-4", "XF-1", *_TRANSPORT),
        options_both_ways,
        within=OPTIONS_WITHIN + 15.0,
        pings=True,
    ),
    story.Scenario(
        "teams-to-pbx",
        "Teams calls the PBX",
        (*_TRANSPORT, *_IDENTITY, *_FROM_TEAMS, *_MEDIA, "EP-5", "TLS-8"),
        teams_calls_pbx,
    ),
    story.Scenario(
        "pbx-to-teams",
        "the PBX calls Teams",
        (*_TRANSPORT, *_IDENTITY, *_TO_TEAMS, *_MEDIA),
        pbx_calls_teams,
    ),
    story.Scenario(
        "teams-to-phone",
        "Teams calls a registered phone",
        (*_TRANSPORT, *_IDENTITY, *_FROM_TEAMS, *_MEDIA),
        teams_calls_phone,
    ),
    story.Scenario(
        "phone-to-teams",
        "a registered phone calls Teams",
        (*_TRANSPORT, *_IDENTITY, *_TO_TEAMS, *_MEDIA),
        phone_calls_teams,
    ),
    story.Scenario("busy", "Teams calls a busy PBX", _FROM_TEAMS, pbx_is_busy),
    story.Scenario(
        "busy-teams", "the PBX calls a busy Teams user", ("SIG-16",), teams_is_busy
    ),
    story.Scenario("cancel", "Teams cancels while the PBX rings", _FROM_TEAMS, teams_cancels),
    story.Scenario("cancel-pbx", "the PBX cancels while Teams rings", _TO_TEAMS, pbx_cancels),
    story.Scenario(
        "hang-up-pbx",
        "Teams calls, the PBX hangs up",
        (*_IDENTITY, *_MEDIA, "TLS-8"),
        pbx_hangs_up,
    ),
    story.Scenario(
        "hang-up-teams", "the PBX calls, Teams hangs up", (*_IDENTITY, *_MEDIA), teams_hangs_up
    ),
    story.Scenario(
        "refresh",
        "Teams refreshes a call with the PBX",
        ("EP-5", "MED-7", "SIG-12", "SIG-30", "SIG-36"),
        teams_refreshes,
    ),
)  # fmt: skip
"""In the order they are told."""


def _is_at(host: str, ping: memory.Ping) -> bool:
    return ping.host == host
