"""The kinds of call that a soak places, and how many of a hundred are of which kind.

Many calls are under way at once, so whoever takes a call names it by its Call-ID. A kind is told
like a story (``story.Story``): it fails by raising what a story raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.lab import addresses, hold, leg, story
from orchestrator.lab.scenarios import openings, transfer
from orchestrator.sip import message

SITE = "02-company"
"""The example all of them can be placed with."""

WORDS = 25
"""Packets that each side hears in every call that is answered: half a second."""
TALK = 150
"""Packets that each side hears in one answered call of ten: three seconds."""

HOLD = 0.4
"""Seconds a hold lasts."""

_SPEECH_EVERY = 10
_FRESH_EVERY = 10
_OTHER_ADDRESS = addresses.TEAMS_HOSTS["sip2.pstnhub.microsoft.com"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One call of a soak.

    Attributes:
        number: Which one it is among those of its kind, from 0 on.
        told: The lab, and the legs of this call.
    """

    number: int
    told: story.Story

    @property
    def packets(self) -> int:
        """How much is said in this call."""
        return TALK if self.number % _SPEECH_EVERY == 0 else WORDS

    @property
    def source(self) -> str:
        """From which other address Microsoft hangs up, on a new connection; mostly from none."""
        return _OTHER_ADDRESS if self.number % _FRESH_EVERY == 0 else ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call.

    Attributes:
        name: Its name in the result.
        title: One line for a person.
        share: How many calls of a hundred.
        play: Places one; raises Failed or Silence when it does not go as it must.
    """

    name: str
    title: str
    share: int
    play: Callable[[Turn], Awaitable[None]]


async def teams_to_pbx(turn: Turn) -> None:
    """Teams calls and hangs up, now and then from another address on a new connection (EP-5)."""
    caller, callee = await openings.teams_to_pbx(turn.told)
    await _speak(turn, caller, callee)
    await openings.hang_up(caller, callee, source=turn.source)


async def pbx_to_teams(turn: Turn) -> None:
    """The PBX calls; the caller and the callee take turns in hanging up."""
    caller, callee = await openings.pbx_to_teams(turn.told)
    await _speak(turn, caller, callee)
    ends: tuple[leg.Leg, leg.Leg] = (caller, callee) if turn.number % 2 else (callee, caller)
    await openings.hang_up(*ends)


async def teams_to_phone(turn: Turn) -> None:
    """Teams calls the registered phone, which hangs up."""
    caller, callee = await openings.teams_to_phone(turn.told)
    await _speak(turn, caller, callee)
    await openings.hang_up(callee, caller)


async def phone_to_teams(turn: Turn) -> None:
    """The phone calls, proves who it is, and hangs up."""
    caller, callee = await openings.phone_to_teams(turn.told)
    await _speak(turn, caller, callee)
    await openings.hang_up(caller, callee)


async def busy(turn: Turn) -> None:
    """The callee is busy: the PBX and Teams take turns."""
    begin = openings.pbx_to_teams if turn.number % 2 else openings.teams_to_pbx
    caller, callee = await begin(turn.told)
    callee.refuse(486)
    answer = await caller.connected()
    if answer.status != 486:
        raise story.Failed(f"the callee was busy, the caller got {answer.start_line}")


async def cancelled(turn: Turn) -> None:
    """The caller gives up while it rings: Teams and the PBX take turns."""
    begin = openings.pbx_to_teams if turn.number % 2 else openings.teams_to_pbx
    await openings.cancel(*await begin(turn.told))


async def held(turn: Turn) -> None:
    """One side holds, in one of the ways that there are, and resumes; all four take turns."""
    told = turn.told
    begin = openings.pbx_to_teams if turn.number % 2 else openings.teams_to_pbx
    caller, callee = await begin(told)
    await told.connect(caller, callee)
    await told.listen(WORDS)
    holder: leg.Leg = caller if turn.number % 4 < 2 else callee
    at_the_pbx = (turn.number % 2 == 1) == (holder is caller)
    way = hold.WAYS[turn.number // 4 % len(hold.WAYS)] if at_the_pbx else "inactive"
    _agreed(await holder.hold(way), f"a hold by {way}")
    await asyncio.sleep(HOLD)
    _agreed(await holder.resume(), "a resume")
    await asyncio.gather(*(end.stream.heard_more(WORDS, within=5.0) for end in (caller, callee)))
    await told.talk(2 * WORDS)
    await openings.hang_up(caller, callee)


async def teams_to_carrier(turn: Turn) -> None:
    """Teams calls a number of the public network and hangs up."""
    told = turn.told
    carrier = told.lab.carrier_a
    caller, callee = await openings.teams_to_trunk(told, carrier, addresses.PSTN_NUMBER)
    await _speak(turn, caller, callee)
    await openings.hang_up(caller, callee)


async def carrier_to_teams(turn: Turn) -> None:
    """Somebody in the public network calls Teams and hangs up."""
    told = turn.told
    carrier = told.lab.carrier_a
    caller, callee = await openings.trunk_to_teams(told, carrier, addresses.PSTN_NUMBER)
    await _speak(turn, caller, callee)
    await openings.hang_up(caller, callee)


async def transferred(turn: Turn) -> None:
    """Teams transfers by REFER: blind, after asking, and by somebody who leaves at once."""
    ways = (transfer.to_a_user, transfer.after_asking, transfer.in_a_hurry)
    await ways[turn.number % len(ways)](turn.told)


KINDS: tuple[Kind, ...] = (
    Kind("teams-to-pbx", "Teams calls the PBX", 30, teams_to_pbx),
    Kind("pbx-to-teams", "the PBX calls Teams", 30, pbx_to_teams),
    Kind("teams-to-carrier", "Teams calls the public network", 8, teams_to_carrier),
    Kind("carrier-to-teams", "the public network calls Teams", 8, carrier_to_teams),
    Kind("teams-to-phone", "Teams calls the phone", 3, teams_to_phone),
    Kind("phone-to-teams", "the phone calls Teams", 3, phone_to_teams),
    Kind("busy", "the callee is busy", 3, busy),
    Kind("cancelled", "the caller gives up", 5, cancelled),
    Kind("held", "one side holds and resumes", 5, held),
    Kind("transferred", "Teams transfers the call", 5, transferred),
)
"""Every kind of call."""


def mix(kinds: Sequence[Kind]) -> Iterator[Kind]:
    """Kinds without end, each as often as its share says, spread as evenly as can be.

    Without chance: two soaks place the same calls in the same order.
    """
    total = sum(kind.share for kind in kinds)
    due = dict.fromkeys(kinds, 0)
    while True:
        for kind in kinds:
            due[kind] += kind.share
        chosen = max(kinds, key=lambda kind: due[kind])
        due[chosen] -= total
        yield chosen


def _agreed(answer: message.Response, what: str) -> None:
    if answer.status != 200:
        raise story.Failed(f"{what} was answered by {answer.start_line}")


async def _speak(turn: Turn, caller: leg.OutgoingLeg, callee: leg.IncomingLeg) -> None:
    await turn.told.connect(caller, callee)
    await turn.told.talk(turn.packets)
