"""Music of the SBC's own for a trunk that Teams holds; nobody else hears any of it (MED-22)."""

from __future__ import annotations

import math
from collections.abc import Awaitable

from orchestrator.lab import addresses, hold, leg, story
from orchestrator.lab.scenarios import openings
from orchestrator.sip import message

SITE = "02-company"

_STEP = 25
"""Packets between two steps: half a second."""
_LISTEN = 1.5
"""Seconds of music: half as long again as the file."""
_TAIL = 3
"""Packets that may be on their way when the music stops."""


async def teams_calls(told: story.Story) -> str:
    """Teams holds a call of its own twice, and refreshes while it holds."""
    caller, callee = await openings.teams_to_trunk(told, told.lab.branch, addresses.BRANCH_NUMBER)
    await told.connect(caller, callee)
    await _hears_music(told, teams=caller, trunk=callee)
    return "music in each hold and only then, none of it at Teams, the same audio after it"


async def branch_calls(told: story.Story) -> str:
    """The same where the branch called."""
    caller, callee = await openings.trunk_to_teams(told, told.lab.branch, addresses.BRANCH_NUMBER)
    await told.connect(caller, callee)
    await _hears_music(told, teams=callee, trunk=caller)
    return "music in each hold and only then, none of it at Teams, the same audio after it"


async def both_hold(told: story.Story) -> str:
    """The branch holds as well and hears nothing; back from it, it hears music again."""
    caller, callee = await openings.teams_to_trunk(told, told.lab.branch, addresses.BRANCH_NUMBER)
    await told.connect(caller, callee)
    callee.stream.ear.music = True
    await told.still_heard(_STEP)
    await _ask(caller.hold(), "inactive")
    await _music(told, callee)
    await _ask(callee.hold("sendonly"), "inactive")
    await _silence(told, callee)
    await _ask(callee.resume(), "sendonly")
    await _music(told, callee)
    await _ask(callee.refresh(), "sendonly")
    await _music(told, callee)
    await _ask(caller.resume(), "sendrecv")
    await told.still_heard(_STEP)
    await _silence(told, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "no music while the branch held as well, music again after it, then the same audio"


async def dies_on_hold(told: story.Story) -> str:
    """Who is held hangs up while the music plays; the next call hears none."""
    caller, callee = await openings.teams_to_trunk(told, told.lab.branch, addresses.BRANCH_NUMBER)
    await told.connect(caller, callee)
    callee.stream.ear.music = True
    await told.still_heard(_STEP)
    await _ask(caller.hold(), "inactive")
    await _music(told, callee)
    await openings.hang_up(callee, caller)
    await _silence(told, callee)
    return "hung up while it was held, and the music ended"


async def _hears_music(told: story.Story, *, teams: leg.Leg, trunk: leg.Leg) -> None:
    trunk.stream.ear.music = True
    await told.still_heard(_STEP)
    await _silence(told, trunk)
    for _ in range(2):
        # Who is called speaks again before Teams has read its 200; that is no leak.
        before = teams.stream.report().unexpected
        await _ask(teams.hold(), "inactive")
        if trunk.offered != "sendonly":
            raise story.Failed(f"the trunk was told {trunk.offered}, not to listen")
        await _music(told, trunk)
        await _ask(teams.refresh(), "inactive")
        await _music(told, trunk)
        if came := teams.stream.report().unexpected - before:
            raise story.Failed(f"{came} packets reached Teams on hold")
        await _ask(teams.resume(), "sendrecv")
        await told.still_heard(_STEP)
        await _silence(told, trunk)
    await told.talk()


async def _ask(asked: Awaitable[message.Response], wanted: str) -> None:
    answer = await asked
    if answer.status != 200:
        raise story.Failed(f"a re-INVITE was answered by {answer.start_line}")
    settled = hold.direction_of(answer.body)
    if settled != wanted:
        raise story.Failed(f"a re-INVITE was answered by {settled} instead of {wanted}")


async def _music(told: story.Story, one: leg.Leg) -> None:
    """*one* hears music: 50 packets a second, as long as we listen."""
    before = one.stream.report().music
    await told.wait(_LISTEN)
    heard = one.stream.report().music - before
    if heard < math.floor(_LISTEN * 50 * 0.9):
        raise story.Failed(f"{heard} packets of music in {_LISTEN:g} s")


async def _silence(told: story.Story, one: leg.Leg) -> None:
    """*one* hears no music."""
    before = one.stream.report().music
    await told.wait(0.5)
    heard = one.stream.report().music - before
    if heard > _TAIL:
        raise story.Failed(f"{heard} packets of music where there must be none")


_MUSIC = ("MED-22", "SIG-31", "MED-6", "MED-7")

SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario("music-teams", "music while Teams holds", _MUSIC, teams_calls, site=SITE),
    story.Scenario("music-branch", "music for who called", _MUSIC, branch_calls, site=SITE),
    story.Scenario("music-both", "no music for who holds", _MUSIC, both_hold, site=SITE),
    story.Scenario("music-ends", "music ends with the call", ("MED-22",), dies_on_hold, site=SITE),
)
"""The stories of music, in the order they are told."""
