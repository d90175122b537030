"""Microsoft's clouds for governments: one name each, networks of their own, no Let's Encrypt."""

from __future__ import annotations

from orchestrator.lab import addresses, story, teams
from orchestrator.lab.scenarios import openings

GCC_HIGH = "07-gcc-high"
DOD = "08-dod"


async def gcc_high_calls(told: story.Story) -> str:
    """OPTIONS reach the one name; a call from there, which the PBX ends."""
    lab = told.lab
    host = addresses.GCC_HIGH_HOST
    await lab.gcc_high.books.came.first(
        lambda ping: ping.host == host and ping.status == 200,
        within=5.0,
        what=f"OPTIONS at {host}",
    )
    await _call_from(told, lab.gcc_high)
    return "OPTIONS at the one name of GCC High, called from there, audio both ways"


async def gcc_high_called(told: story.Story) -> str:
    """The PBX calls; Microsoft hangs up on a new connection."""
    await _call_to(told, told.lab.gcc_high)
    return "called GCC High, audio both ways, Microsoft hung up on a new connection"


async def dod_calls(told: story.Story) -> str:
    """A call from the cloud of the DoD."""
    await _call_from(told, told.lab.dod)
    return "called from the cloud of the DoD, audio both ways"


async def dod_called(told: story.Story) -> str:
    """A call to the cloud of the DoD."""
    await _call_to(told, told.lab.dod)
    return "called the cloud of the DoD, audio both ways"


async def _call_from(told: story.Story, cloud: teams.Teams) -> None:
    caller = await cloud.dial(addresses.PBX_NUMBER, caller=addresses.TEAMS_NUMBER)
    told.track("Teams hears the PBX", caller)
    callee = await told.lab.pbx.next_leg()
    told.track("PBX hears Teams", callee)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)


async def _call_to(told: story.Story, cloud: teams.Teams) -> None:
    caller = await told.lab.pbx.dial(addresses.TEAMS_NUMBER, caller=addresses.PBX_NUMBER)
    told.track("PBX hears Teams", caller)
    callee = await cloud.next_leg()
    told.track("Teams hears the PBX", callee)
    await told.connect(caller, callee)
    await told.talk()
    (address,) = cloud.places()
    await openings.hang_up(callee, caller, source=address)


_PROVES = ("EP-2", "EP-4", "CERT-6")

SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario("gcc-high", "GCC High calls", _PROVES, gcc_high_calls, site=GCC_HIGH),
    story.Scenario("to-gcc-high", "GCC High is called", _PROVES, gcc_high_called, site=GCC_HIGH),
    story.Scenario("dod", "the DoD calls", _PROVES, dod_calls, site=DOD),
    story.Scenario("to-dod", "the DoD is called", _PROVES, dod_called, site=DOD),
)
"""The stories of the other clouds, in the order they are told."""
