"""The way to Microsoft: names in their order, datacentres that are down or full, DNS, TLS."""

from __future__ import annotations

import asyncio

from orchestrator.lab import addresses, leg, story, teams
from orchestrator.lab.scenarios import openings

SITE = "06-short-notice"
"""OPTIONS every five seconds, so that stories need not wait for a minute."""

_SILENCE = 3.0
"""Seconds after which a datacentre that says nothing is passed over (facts/teams.md, SIG-25)."""
_FAILOVER_TIME = 10.0
"""Seconds in which the trunk must know (SIG-25)."""
_SLACK = 1.5
"""Seconds that a busy machine may add."""
_INTERVAL = 5
"""The site's options_interval."""
_DNS = 6.0
"""Seconds for which an answer of the lab's DNS may still be used, and one more (EP-10)."""

_RETRY = 2
"""Seconds of rest that a datacentre asks for; Microsoft's is 1."""
_LONG = 12
"""The same when it is asked twice meanwhile."""

_UNRESOLVED = 11.0
"""Seconds until a name that did not resolve is tried again."""

_FIRST, _SECOND, _THIRD = addresses.TEAMS_HOSTS
_AT = addresses.TEAMS_HOSTS


async def region_mute(told: story.Story) -> str:
    """Sip hears and says nothing: sip2 is called after three seconds (EP-1, SIG-15)."""
    async with told.lab.teams.mute((_AT[_FIRST],)):
        seconds = await _called_at(told, _SECOND)
    if not _SILENCE / 2 <= seconds <= _SILENCE + _SLACK:
        raise story.Failed(f"sip2 was called after {seconds:.1f} s")
    return f"sip said nothing, sip2 was called after {seconds:.1f} s"


async def region_gone(told: story.Story) -> str:
    """Nothing gets to sip, and there is no connection: sip2 is called."""
    await told.lab.teams.drop_connections()
    async with told.lab.trouble.silent(_AT[_FIRST]):
        seconds = await _called_at(told, _SECOND)
    if seconds > _SILENCE + _SLACK:
        raise story.Failed(f"sip2 was called after {seconds:.1f} s")
    return f"sip could not be reached, sip2 was called after {seconds:.1f} s"


async def region_refuses(told: story.Story) -> str:
    """Sip and sip2 refuse connections: sip3 is called, in time for Teams' callers."""
    lab = told.lab
    await lab.teams.drop_connections()
    async with lab.trouble.refusing(_AT[_FIRST]), lab.trouble.refusing(_AT[_SECOND]):
        seconds = await _called_at(told, _THIRD)
    if seconds > _SILENCE * 2 + _SLACK:
        raise story.Failed(f"sip3 was called after {seconds:.1f} s")
    return f"sip and sip2 refused, sip3 was called after {seconds:.1f} s"


async def all_mute(told: story.Story) -> str:
    """Nobody says anything: the trunk gets 503 in time for another way."""
    async with told.lab.teams.mute():
        seconds = await _refused(told, 503)
    if seconds > _FAILOVER_TIME:
        raise story.Failed(f"503 came after {seconds:.1f} s")
    return f"none of the three spoke, the PBX got 503 after {seconds:.1f} s"


async def region_lost(told: story.Story) -> str:
    """The datacentre of a call is gone: another one hangs up, on a new connection (EP-5)."""
    lab = told.lab
    caller, callee = await openings.teams_to_pbx(told)
    await told.connect(caller, callee)
    await told.talk()
    await lab.teams.drop_connections()
    async with lab.trouble.silent(_AT[_FIRST]):
        await openings.hang_up(caller, callee, source=_AT[_THIRD])
    return "the datacentre of the call was gone, another one hung up"


async def hurried(told: story.Story) -> str:
    """Every transaction of Microsoft's has a connection of its own, either way (TLS-8)."""
    async with told.lab.teams.hurried():
        caller, callee = await openings.teams_to_pbx(told)
        await told.connect(caller, callee)
        await told.listen(story.TALK // 2)
        answer = await callee.refresh()
        if answer.status != 200:
            raise story.Failed(f"the PBX's re-INVITE was answered by {answer.start_line}")
        await told.talk()
        await openings.hang_up(callee, caller)
        caller, callee = await openings.pbx_to_teams(told)
        await told.connect(caller, callee)
        await openings.hang_up(callee, caller)
    return "connections lived for one transaction, calls each way did not notice"


async def unnamed_address(told: story.Story) -> str:
    """A call from an address of Microsoft's networks that no name leads to (EP-4, EP-5)."""
    caller = await told.lab.teams.dial(
        addresses.PBX_NUMBER, caller=addresses.TEAMS_NUMBER, source=addresses.TEAMS_SPARE
    )
    told.track("Teams hears the PBX", caller)
    callee = await told.lab.pbx.next_leg()
    told.track("PBX hears Teams", callee)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "a call from an address that DNS does not name, audio both ways, the PBX hung up"


async def relay_port(told: story.Story) -> str:
    """Microsoft's media are at port 3478, and above 49152 in every other call (EP-7)."""
    caller = await told.lab.pbx.dial(addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER)
    callee = await told.lab.teams.next_leg()
    port = callee.stream.address[1]
    await _end(caller, callee)
    wishes = leg.Wishes(media_port=addresses.TEAMS_RELAY_PORT)
    caller, callee = await openings.teams_to_pbx(told, wishes=wishes)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    low, high = addresses.TEAMS_MEDIA_PORTS
    if not low <= port <= high:
        raise story.Failed(f"Microsoft's media were at {port}, which is not a port of its")
    return f"audio both ways with ports {addresses.TEAMS_RELAY_PORT} and {port}"


async def name_moves(told: story.Story) -> str:
    """DNS leads sip elsewhere: the next OPTIONS and calls go there, and back again (EP-10)."""
    lab = told.lab
    began = len(lab.teams.books.came.entries)
    async with lab.trouble.names({_FIRST: (addresses.TEAMS_SPARE,)}):
        await told.wait(_DNS)
        await _called_at(told, _FIRST, at=addresses.TEAMS_SPARE)
        await lab.teams.books.came.first(
            lambda ping: ping.host == addresses.TEAMS_SPARE,
            within=_INTERVAL + _SLACK,
            what="OPTIONS at the new address",
            after=began,
        )
    await told.wait(_DNS)
    await _called_at(told, _FIRST)
    return f"OPTIONS and calls followed DNS within {_DNS:g} s, and came back"


async def name_is_gone(told: story.Story) -> str:
    """DNS knows no sip any more: sip2 is called."""
    async with told.lab.trouble.names({_FIRST: ()}):
        await told.wait(_DNS)
        first, second = [await _called_at(told, _SECOND) for _ in range(2)]
    if first > _SILENCE + _SLACK or second > _SLACK:
        raise story.Failed(f"sip2 was called after {first:.1f} s, then after {second:.1f} s")
    await told.wait(_UNRESOLVED)
    await _called_at(told, _FIRST)
    return f"sip did not resolve, sip2 was called after {first:.1f} and {second:.1f} s; sip later"


async def counted(told: story.Story) -> str:
    """Each name gets OPTIONS every interval, not more and not less (OPT-1)."""
    came = told.lab.teams.books.came
    began = len(came.entries)
    rounds = 3
    await told.wait(_INTERVAL * rounds)
    hosts = [ping.host for ping in came.entries[began:]]
    counts = [hosts.count(host) for host in addresses.TEAMS_HOSTS]
    if not all(rounds - 1 <= count <= rounds + 1 for count in counts):
        raise story.Failed(f"in {_INTERVAL * rounds} s came {counts} OPTIONS")
    return f"{', '.join(map(str, counts))} OPTIONS in {_INTERVAL * rounds} s"


async def datacentre_rests(told: story.Story) -> str:
    """503 with Retry-After to an INVITE: no more calls there until it is over (SIG-14)."""
    lab = told.lab
    caller = await lab.pbx.dial(addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER)
    full = await _next_at(lab.teams, caller, _AT[_FIRST])
    full.refuse(503, extra=(("Retry-After", str(_RETRY)),))
    await _end(caller, await _next_at(lab.teams, caller, _AT[_SECOND]))
    if full.call.server.flow.usable:
        raise story.Failed("the connection with the datacentre that is full was not closed")
    await _called_at(told, _SECOND)
    await told.wait(_RETRY + 1.0)
    await _called_at(told, _FIRST)
    return f"sip said 503, had its {_RETRY} s of rest, and was called again"


async def options_say_full(told: story.Story) -> str:
    """OPTIONS answered by 503: the next name at once, and back with the next answer (OPT-10)."""
    lab = told.lab
    async with lab.teams.filled(_AT[_FIRST]):
        await _asked(told, _FIRST, 503)
        await _called_at(told, _SECOND)
    await _asked(told, _FIRST, 200)
    await _called_at(told, _FIRST)
    return "503 to OPTIONS: sip2 was called, sip again after its 200"


async def options_say_when(told: story.Story) -> str:
    """The same with Retry-After: a 200 before that time is over changes nothing (OPT-10)."""
    lab = told.lab
    loop = asyncio.get_running_loop()
    async with lab.teams.filled(_AT[_FIRST], retry_after=f"{_LONG} (maintenance)"):
        await _asked(told, _FIRST, 503)
        over = loop.time() + _LONG + 1.0
    await _asked(told, _FIRST, 200)
    await _called_at(told, _SECOND)
    await told.wait(max(0.0, over - loop.time()))
    await _called_at(told, _FIRST)
    return f"503 to OPTIONS with {_LONG} s: sip2 was called all the time, then sip"


async def _called_at(told: story.Story, host: str, *, at: str = "") -> float:
    """The PBX calls Teams, the call comes in at *host* and is declined; seconds until it came."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    caller = await told.lab.pbx.dial(addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER)
    callee = await _next_at(told.lab.teams, caller, at or _AT[host])
    seconds = loop.time() - began
    await _end(caller, callee)
    return seconds


async def _next_at(actor: teams.Teams, caller: leg.OutgoingLeg, address: str) -> leg.IncomingLeg:
    """The call of *caller* at Teams; one that was heard at a mute address is passed over."""
    callee = await actor.next_leg(within=_FAILOVER_TIME, call_id=caller.call.invite.call_id)
    came = callee.call.server.flow.local[0]
    if came != address:
        callee.close()
        raise story.Failed(f"the call came to {came}, not to {address}")
    if not callee.call.invite.values("Record-Route"):
        raise story.Failed("an INVITE without Record-Route: the call would go on without the SBC")
    return callee


async def _end(caller: leg.OutgoingLeg, callee: leg.IncomingLeg) -> None:
    callee.refuse(486)
    answer = await caller.call.final()
    caller.close()
    callee.close()
    if answer.status != 486:
        raise story.Failed(f"Teams declined, the PBX got {answer.start_line}")


async def _refused(told: story.Story, status: int) -> float:
    """The PBX calls Teams and is refused; seconds until it knew."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    caller = await told.lab.pbx.dial(addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER)
    answer = await caller.call.final(within=_FAILOVER_TIME + 5.0)
    caller.close()
    if answer.status != status:
        raise story.Failed(f"the PBX got {answer.start_line} instead of {status}")
    return loop.time() - began


async def _asked(told: story.Story, host: str, status: int) -> None:
    """OPTIONS came to *host* and were answered so, from now on."""
    came = told.lab.teams.books.came
    await came.first(
        lambda ping: ping.host == host and ping.status == status,
        within=_INTERVAL + _SLACK,
        what=f"OPTIONS at {host} answered by {status}",
        after=len(came.entries),
    )
    await told.wait(_SLACK / 3)


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "region-mute", "the first datacentre says nothing", ("EP-1", "SIG-15"), region_mute
    ),
    story.Scenario("region-gone", "the first datacentre is gone", ("EP-1", "SIG-15"), region_gone),
    story.Scenario("region-refuses", "two datacentres refuse", ("EP-1", "SIG-15"), region_refuses),
    story.Scenario("regions-mute", "no datacentre says anything", ("SIG-15",), all_mute),
    story.Scenario(
        "region-lost",
        "the datacentre of a call is gone",
        ("EP-5", "EP-11", "SIG-36", "TLS-8"),
        region_lost,
    ),
    story.Scenario("hurried", "Teams closes every connection", ("EP-11", "TLS-8"), hurried),
    story.Scenario("unnamed", "a call from an unnamed address", ("EP-4", "EP-5"), unnamed_address),
    story.Scenario("relay-port", "Teams' media at port 3478", ("EP-7", "MED-23"), relay_port),
    story.Scenario("datacentre-rests", "a datacentre is full", ("SIG-14",), datacentre_rests),
    story.Scenario(
        "name-gone", "a name of Teams is gone", ("EP-1", "EP-10"), name_is_gone, within=40.0
    ),
    story.Scenario("options-counted", "OPTIONS every interval", ("OPT-1",), counted, site=SITE),
    story.Scenario(
        "name-moves", "DNS leads elsewhere", ("EP-10",), name_moves, site=SITE, within=45.0
    ),
    story.Scenario(
        "options-503", "OPTIONS answered by 503", ("OPT-10",), options_say_full, site=SITE
    ),
    story.Scenario(
        "options-503-time",
        "the same with Retry-After",
        ("OPT-10",),
        options_say_when,
        site=SITE,
        within=45.0,
    ),
)
"""The stories of pairing, in the order they are told."""
