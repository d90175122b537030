"""A call of 61 minutes, condensed: three wraps of the sequence number, and everything after each.

At 50 packets a second an hour and a minute is 183,000 packets each way, and the 16-bit sequence
number starts from 0 again three times. After the first time SRTP counts a rollover that nobody
transmits; whoever loses it, in a refresh or a hold, hears nothing any more (MED-8).

Between the wraps the streams get ahead, the wraps themselves are crossed at the real pace. How
they get ahead is the story's choice: by jumps of less than 2^15 packets, which RFC 3711 allows,
or by sending every packet faster than real.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from orchestrator.lab import leg, story
from orchestrator.lab.scenarios import hold, media, openings

MINUTES = 61
PACKETS = MINUTES * 60 * 50
"""Packets each way in the whole call."""

FIRST = 65_300
"""The first sequence number: the first wrap comes after five seconds, well after latching."""

LONGEST_GAP_MS = 250.0
"""Time without a packet that only the SBC can have made, by keeping packets back.

A lab shares its processors with others, and a packet that waits there for its turn says nothing
about the SBC. How even audio is on an idle machine is what ``bench/load.py`` measures.
"""

PACE = 25.0
"""How many times faster than real the whole call is sent."""

_WRAPS = tuple(wrap * 0x10000 - FIRST for wrap in (1, 2, 3))
_JUMP = 30_000
_STEP = 25
_LEAD = 40
_HOLDS = 4
_HOLD = 0.5
_DIGITS = "159#"

# The clock of the timestamps (32 bits, 8000 a second) wraps in the middle of the call as well.
_CLOCK = 2**32 // 160 - PACKETS // 2

Both = tuple[leg.Leg, leg.Leg]
Advance = Callable[[story.Story, Both, int], Awaitable[None]]
"""Gets both streams ahead until this packet."""
Begin = Callable[[story.Story], Awaitable[tuple[leg.OutgoingLeg, leg.IncomingLeg]]]
"""Begins the call."""


async def jump(told: story.Story, both: Both, packet: int) -> None:
    """Leave packets out, less than 2^15 at once."""
    while (ahead := packet - max(end.stream.number for end in both)) > 0:
        step = min(ahead, _JUMP)
        for here, there in (both, both[::-1]):
            here.stream.skip(step)
            there.stream.ear.pass_over(step)
        await told.still_heard(_STEP // 2)


async def run(told: story.Story, both: Both, packet: int) -> None:
    """Send every packet, faster than real."""
    for end in both:
        end.stream.pace = PACE
    seconds = (packet - min(end.stream.number for end in both)) / 50 / PACE
    await _until(told, both, packet, within=max(seconds, 0.0) * 2 + 10.0)
    for end in both:
        end.stream.pace = 1.0


async def talk_for_an_hour(told: story.Story, begin: Begin, advance: Advance) -> str:
    """Cross every wrap; refresh, hold and press digits from either side after it."""
    caller, callee = await begin(told)
    both: Both = (caller, callee)
    for end in both:
        end.stream.begin_at(FIRST, ticks=_CLOCK)
    await told.connect(caller, callee)
    await told.still_heard(_STEP)
    after: tuple[Callable[[], Awaitable[None]], ...] = (
        lambda: _refresh(told, caller, callee),
        lambda: _hold(told, caller, callee),
        lambda: _everything(told, caller, callee),
    )
    for wrap, act in zip(_WRAPS, after, strict=True):
        await advance(told, both, wrap - _LEAD)
        await _until(told, both, wrap + _STEP, within=20.0)
        await told.still_heard(_STEP)
        await act()
    await advance(told, both, PACKETS - _LEAD)
    await _until(told, both, PACKETS, within=20.0)
    await told.talk(1)
    await openings.hang_up(callee, caller)
    return _judged(told)


async def teams_calls_jumping(told: story.Story) -> str:
    """Teams calls the PBX for an hour."""
    return await talk_for_an_hour(told, openings.teams_to_pbx, jump)


async def pbx_calls_jumping(told: story.Story) -> str:
    """The PBX calls Teams for an hour."""
    return await talk_for_an_hour(told, openings.pbx_to_teams, jump)


async def teams_calls_running(told: story.Story) -> str:
    """Teams calls the PBX for an hour, every packet of it."""
    return await talk_for_an_hour(told, openings.teams_to_pbx, run)


async def pbx_calls_running(told: story.Story) -> str:
    """The PBX calls Teams for an hour, every packet of it."""
    return await talk_for_an_hour(told, openings.pbx_to_teams, run)


async def _refresh(told: story.Story, caller: leg.Leg, callee: leg.Leg) -> None:
    for end in (caller, callee):
        answer = await end.refresh()
        if answer.status != 200:
            raise story.Failed(f"the refresh was answered by {answer.start_line}")
        await told.still_heard(_STEP)


async def _hold(told: story.Story, caller: leg.Leg, callee: leg.Leg) -> None:
    for end, other in ((caller, callee), (callee, caller)):
        await hold.hold_and_resume(end, other, "inactive", seconds=_HOLD)
        await told.still_heard(_STEP)


async def _everything(told: story.Story, caller: leg.Leg, callee: leg.Leg) -> None:
    await media.press(told, caller, callee, _DIGITS)
    await _refresh(told, callee, caller)
    await _hold(told, callee, caller)
    await media.press(told, callee, caller, _DIGITS)


async def _until(told: story.Story, both: Both, packet: int, *, within: float) -> None:
    await told.until(
        lambda: min(end.stream.number for end in both) >= packet,
        f"packet {packet} of the call",
        within=within,
    )
    await asyncio.sleep(0)


def _judged(told: story.Story) -> str:
    """How it went, in a sentence.

    Raises:
        Failed: A packet was altered, too many were lost, or the SBC kept packets back.
    """
    pauses = max(heard.report.max_pause_ms for heard in told.heard)
    for title, report in ((heard.title, heard.report) for heard in told.heard):
        if report.altered or report.forged:
            raise story.Failed(f"{title}: {report.altered + report.forged} packets altered")
        if report.lost > story.LOST_BY_HOLDING * _HOLDS:
            raise story.Failed(f"{title}: {report.lost} packets lost")
        # On a busy machine the sender itself pauses; what the SBC adds to it is what counts.
        if report.max_gap_ms > pauses + LONGEST_GAP_MS:
            raise story.Failed(f"{title}: nothing for {report.max_gap_ms:.0f} ms")
    gap = max(heard.report.max_gap_ms for heard in told.heard)
    received = sum(heard.report.received for heard in told.heard)
    lost = sum(heard.report.lost for heard in told.heard)
    return (
        f"{MINUTES} minutes, 3 wraps, {received} of {2 * PACKETS} packets spoken: 0 altered,"
        f" {lost} lost by holding, no gap over {gap:.0f} ms"
        f" (the sender's longest pause: {pauses:.0f} ms)"
    )


_PROVES = ("MED-7", "MED-8", "MED-18", "SIG-30")
_WITHIN = 90.0

SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "long-call-teams",
        "Teams calls the PBX for 61 minutes",
        _PROVES,
        teams_calls_jumping,
        within=_WITHIN,
    ),
    story.Scenario(
        "long-call-pbx",
        "the PBX calls Teams for 61 minutes",
        _PROVES,
        pbx_calls_jumping,
        within=_WITHIN,
    ),
)
"""The long calls, condensed by jumps; in the order they are told."""

WHOLE: tuple[story.Scenario, ...] = (
    story.Scenario(
        "whole-hour-teams",
        "Teams calls the PBX for 61 minutes, every packet",
        _PROVES,
        teams_calls_running,
        within=600.0,
    ),
    story.Scenario(
        "whole-hour-pbx",
        "the PBX calls Teams for 61 minutes, every packet",
        _PROVES,
        pbx_calls_running,
        within=600.0,
    ),
)
"""The same with every packet sent; minutes each, so that only a soak tells them."""
