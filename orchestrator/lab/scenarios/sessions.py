"""Session timers that run (RFC 4028): kept by either side, refused by 422, run out (SIG-29)."""

from __future__ import annotations

import asyncio

from orchestrator.lab import leg, story, timers
from orchestrator.lab.scenarios import openings

_SECONDS = 4
"""How long a session lives without a refresh; the lab's actors take any number."""
_RUNS = 6.5
"""Seconds of a call in which two refreshes are due."""
_STEP = 25
"""Packets between two steps: half a second."""
_USUAL = ("Session-Expires", "Min-SE", "Supported")
"""Headers of the simulated Teams that ours take the place of."""

Either = leg.OutgoingLeg | leg.IncomingLeg


async def teams_refreshes(told: story.Story) -> str:
    """Teams called and refreshes; the PBX would hang up without."""
    caller, callee = await _agreed(told, by="uac")
    await _runs(told, caller, callee)
    return "two refreshes of Teams, the session went on, audio after it"


async def pbx_refreshes(told: story.Story) -> str:
    """Teams called and leaves the refreshes to the PBX."""
    caller, callee = await _agreed(told, by="uas")
    await _runs(told, callee, caller)
    return "two refreshes of the PBX, the session went on, audio after it"


async def too_short(told: story.Story) -> str:
    """The PBX wants longer sessions: 422 and its Min-SE reach Teams, who asks again."""
    wishes = leg.Wishes(extra=timers.ask(_SECONDS), without=_USUAL)
    caller, callee = await openings.teams_to_pbx(told, wishes=wishes)
    callee.refuse(422, extra=(("Min-SE", "90"),))
    answer = await caller.connected()
    if answer.status != 422 or answer.get("Min-SE") != "90":
        raise story.Failed(f"422 reached Teams as {answer.start_line}")
    wishes = leg.Wishes(extra=timers.ask(90, minimum=90), without=_USUAL)
    caller, callee = await openings.teams_to_pbx(told, wishes=wishes)
    asked = timers.said(callee.call.invite)
    if asked != timers.Timer(90):
        raise story.Failed(f"the longer session reached the PBX as {asked}")
    await told.connect(caller, callee)
    await openings.hang_up(caller, callee)
    return "422 with Min-SE 90, then a session of 90 s"


async def runs_out(told: story.Story) -> str:
    """Nobody refreshes: the PBX hangs up in time, and Teams learns why."""
    caller, callee = await _agreed(told, by="uac")
    await told.still_heard(_STEP)
    kept = await timers.guard(callee, timers.Timer(_SECONDS, "uac"))
    bye = await caller.ended()
    if kept or bye.get("Reason") != timers.EXPIRED:
        raise story.Failed(f"a session nobody refreshed ended with {bye.get('Reason')}")
    return "the PBX hung up before the session ran out, and said so"


async def _agreed(told: story.Story, *, by: str) -> tuple[leg.OutgoingLeg, leg.IncomingLeg]:
    """Teams has called the PBX, and both have agreed on a timer and on who refreshes."""
    wishes = leg.Wishes(extra=timers.ask(_SECONDS, refresher=by), without=_USUAL)
    caller, callee = await openings.teams_to_pbx(told, wishes=wishes)
    if timers.said(callee.call.invite) != timers.Timer(_SECONDS, by):
        raise story.Failed("the timer did not reach the PBX as it was asked for")
    callee.answer(extra=timers.grant(_SECONDS, refresher=by))
    granted = timers.said(await caller.connected())
    if granted != timers.Timer(_SECONDS, by):
        raise story.Failed(f"the timer came back as {granted}")
    await callee.confirmed()
    return caller, callee


async def _runs(told: story.Story, keeper: Either, other: Either) -> None:
    """*keeper* refreshes, *other* watches; audio never stops, and then *keeper* hangs up."""
    timer = timers.Timer(_SECONDS)
    async with asyncio.TaskGroup() as group:
        group.create_task(timers.keep(keeper, timer))
        watched = group.create_task(timers.guard(other, timer))
        await told.wait(_RUNS)
        refreshed = [each for each in other.call.requests.entries if each.method == "INVITE"]
        await told.still_heard(_STEP)
        report = other.stream.report()
        await openings.hang_up(keeper, other)
    if len(refreshed) < 2 or not watched.result():
        raise story.Failed(f"{len(refreshed)} refreshes in {_RUNS:g} s")
    if report.max_gap_ms > 200:
        raise story.Failed(f"a refresh left a gap of {report.max_gap_ms:g} ms")
    await told.talk(1)


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "session-teams", "Teams keeps a session", ("SIG-29", "SIG-30"), teams_refreshes
    ),
    story.Scenario("session-pbx", "the PBX keeps a session", ("SIG-29",), pbx_refreshes),
    story.Scenario("session-422", "a session that is too short", ("SIG-29",), too_short),
    story.Scenario("session-ends", "a session runs out", ("SIG-29",), runs_out),
)
"""The stories of session timers, in the order they are told."""
