"""What answers mean: whose they are, what is tried again, and what must never be."""

from __future__ import annotations

import asyncio

from orchestrator.lab import addresses, leg, story
from orchestrator.lab.scenarios import openings

_NO = (404, 480, 484, 486, 488, 600, 603)
"""Answers of whom was called; nobody else can make up for them (SIG-15, SIG-26)."""
_FAILOVER_TIME = 10.0
"""Seconds until Teams tries its next SBC (SIG-25)."""


async def pbx_says_no(told: story.Story) -> str:
    """Each refusal of the PBX reaches Teams as it is."""
    for status in _NO:
        caller, callee = await openings.teams_to_pbx(told)
        callee.refuse(status)
        await _wants(caller, status)
    return f"Teams got {', '.join(map(str, _NO))} as the PBX said them"


async def teams_says_no(told: story.Story) -> str:
    """Each refusal of Teams reaches the PBX, and no other datacentre is asked (SIG-15)."""
    for status in _NO:
        caller, callee = await openings.pbx_to_teams(told)
        callee.refuse(status)
        await _wants(caller, status)
        if told.lab.teams.waiting_calls:
            raise story.Failed(f"Teams was called again after {status}")
    return f"the PBX got {', '.join(map(str, _NO))}, each after one call"


async def datacentre_is_full(told: story.Story) -> str:
    """503 with Retry-After: the next datacentre, at once; the third answers (SIG-14)."""
    caller = await told.lab.pbx.dial(addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER)
    told.track("PBX hears Teams", caller)
    hosts = tuple(addresses.TEAMS_HOSTS.values())
    for place in hosts[:2]:
        busy = await told.lab.teams.next_leg(call_id=caller.call.invite.call_id)
        _is_at(busy, place)
        busy.refuse(503, extra=(("Retry-After", "1"),))
    callee = await told.lab.teams.next_leg(call_id=caller.call.invite.call_id)
    _is_at(callee, hosts[2])
    told.track("Teams hears the PBX", callee)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    return "sip and sip2 said 503, sip3 answered"


async def pbx_is_dumb(told: story.Story) -> str:
    """The PBX says nothing at all: Teams gets 503 in time for its next SBC (SIG-25, SIG-26)."""
    async with told.lab.pbx.mute():
        seconds = await _refused(told, 503)
    return f"503 after {seconds:.0f} s"


async def pbx_takes_its_time(told: story.Story) -> str:
    """The PBX says 100 and nothing more: Teams gets 503 within its failover time (SIG-25)."""
    seconds = await _refused(told, 503)
    return f"503 after {seconds:.0f} s of 100"


async def no_offer(told: story.Story) -> str:
    """A PBX without an offer in its INVITE is refused here; Teams is not asked (SIG-6)."""
    wishes = leg.Wishes(offer=leg.no_offer)
    return await _refused_here(told, wishes, 488)


async def reliable_ringing(told: story.Story) -> str:
    """A PBX that demands reliable 18x is told that nobody does that here (SIG-13)."""
    wishes = leg.Wishes(extra=(("Require", "100rel"),))
    return await _refused_here(told, wishes, 420)


async def methods_of_a_trunk(told: story.Story) -> str:
    """INFO and UPDATE of a PBX inside a call: Teams refuses them, and the call goes on."""
    caller, callee = await openings.pbx_to_teams(told)
    await told.connect(caller, callee)
    for method in ("INFO", "UPDATE"):
        answer = await caller.call.ask(method)
        if answer.status != 405:
            raise story.Failed(f"{method} was answered by {answer.start_line}")
    await told.talk()
    await openings.hang_up(caller, callee)
    return "INFO and UPDATE got 405, the call went on"


async def _wants(caller: leg.OutgoingLeg, status: int) -> None:
    answer = await caller.connected()
    if answer.status != status:
        raise story.Failed(f"{status} was said and {answer.start_line} arrived")


async def _refused(told: story.Story, status: int) -> float:
    """Teams calls the PBX and is refused; how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    caller = await told.lab.teams.dial(addresses.PBX_NUMBER, caller=addresses.TEAMS_NUMBER)
    answer = await caller.connected(within=_FAILOVER_TIME)
    if answer.status != status:
        raise story.Failed(f"Teams got {answer.start_line}")
    return loop.time() - began


async def _refused_here(told: story.Story, wishes: leg.Wishes, status: int) -> str:
    caller = await told.lab.pbx.dial(
        addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER, wishes=wishes
    )
    await _wants(caller, status)
    if told.lab.teams.waiting_calls:
        raise story.Failed("Teams was called all the same")
    return f"refused by {status}, Teams was not called"


def _is_at(called: leg.IncomingLeg, address: str) -> None:
    found = called.call.server.flow.local[0]
    if found != address:
        raise story.Failed(f"the call went to {found} instead of {address}")


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario("pbx-says-no", "the PBX refuses", ("SIG-16", "SIG-26"), pbx_says_no),
    story.Scenario("teams-says-no", "Teams refuses", ("SIG-15", "SIG-16"), teams_says_no),
    story.Scenario(
        "datacentre-full",
        "two datacentres say 503",
        ("EP-1", "SIG-14", "SIG-15"),
        datacentre_is_full,
    ),
    story.Scenario("pbx-dumb", "the PBX says nothing", ("SIG-25", "SIG-26"), pbx_is_dumb),
    story.Scenario("pbx-slow", "the PBX says 100 only", ("SIG-25", "SIG-26"), pbx_takes_its_time),
    story.Scenario("no-offer", "an INVITE without an offer", ("SIG-6",), no_offer),
    story.Scenario("reliable", "a PBX demands 100rel", ("SIG-13",), reliable_ringing),
    story.Scenario("methods", "INFO and UPDATE of a PBX", ("SIG-13",), methods_of_a_trunk),
)
"""In the order they are told."""
