"""How a scenario is told: run it within bounds, collect what was heard, broken and said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orchestrator.lab import evidence, journal, leg, media, stage
from orchestrator.sip import grammar, ladder

TALK = 100
"""Packets that each side must hear in a call: two seconds."""

TOLERATED_LOSS = 0.02
"""Share of packets that may get lost on a busy machine before a call counts as failed."""

FIRST_SITE = "01-one-pbx"
"""The example that a story needs unless it names another one."""


LOST_BY_HOLDING = 10
"""Packets that may get lost because they were on their way when a side held: 0.2 s."""


class Failed(Exception):
    """The story did not go as it must; the message says where it left."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One direction of audio: ``PBX hears Teams`` and what was measured there."""

    title: str
    report: media.MediaReport

    @property
    def fine(self) -> bool:
        """True when audio came, unaltered and without loss that a person would notice."""
        report = self.report
        few = report.held_ms > 0 and report.lost <= LOST_BY_HOLDING
        return report.heard and (few or report.loss <= TOLERATED_LOSS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scenario ended.

    Attributes:
        name: The scenario's name.
        title: Its title for a person.
        proves: The requirements it proves when it is ok.
        ok: True when it went as told, and no rule was broken.
        sentence: What happened, for an operator.
        broken: The rules the SBC broke, each once.
        media: What was heard, one entry per direction.
        trace: The messages, in order.
        seconds: How long it took.
    """

    name: str
    title: str
    proves: tuple[str, ...]
    ok: bool
    sentence: str
    broken: tuple[evidence.Broken, ...]
    media: tuple[Heard, ...]
    trace: tuple[ladder.Trace, ...]
    seconds: float


class Story:
    """One run of a scenario: the lab, and the legs that must be closed behind it."""

    def __init__(self, lab: stage.Lab) -> None:
        self.lab = lab
        self._legs: list[tuple[str, leg.OutgoingLeg | leg.IncomingLeg]] = []
        self.heard: tuple[Heard, ...] = ()

    def track(self, title: str, known: leg.OutgoingLeg | leg.IncomingLeg) -> None:
        """Remember a leg by what it hears: ``PBX hears Teams``."""
        self._legs.append((title, known))

    @property
    def call_ids(self) -> tuple[str, ...]:
        """The Call-IDs of the calls in this story."""
        return tuple(dict.fromkeys(known.call.invite.call_id for _, known in self._legs))

    async def connect(self, caller: leg.OutgoingLeg, callee: leg.IncomingLeg) -> None:
        """Ring, answer and acknowledge a call.

        Raises:
            Failed: The caller got something else than 180 and 200.
            Silence: Somebody waited in vain.
        """
        callee.ring()
        await caller.call.status(180, 183)
        try:
            callee.answer()
        except grammar.SipError as error:
            raise Failed(f"the callee refused the call by 488: {error.reason}") from error
        answer = await caller.connected()
        if answer.status >= 300:
            raise Failed(f"the call was answered, and the caller got {answer.start_line}")
        await callee.confirmed()

    async def listen(self, packets: int) -> None:
        """Wait until every side heard that many packets, or five seconds."""
        streams = [known.stream for _, known in self._legs]
        await asyncio.gather(*(stream.heard(packets, within=5.0) for stream in streams))

    async def still_heard(self, packets: int = 25, *, within: float = 3.0) -> None:
        """Let every side hear that many packets from now on; Failed when one does not in time."""
        waits = (known.stream.heard_more(packets, within=within) for _, known in self._legs)
        for (title, _), heard in zip(self._legs, await asyncio.gather(*waits), strict=True):
            if not heard:
                raise Failed(f"{title}: no longer")

    async def until(self, true: Callable[[], bool], what: str, *, within: float) -> None:
        """Wait until something is true; Failed, with *what* it was, when it is not in time (s)."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while not true():
            if loop.time() >= end:
                raise Failed(f"{what}: not within {within:g} s")
            await asyncio.sleep(0.05)

    async def wait(self, seconds: float) -> None:
        """Let the world go on; for what must be there, or must not, over a time."""
        await asyncio.sleep(seconds)

    async def talk(self, packets: int = TALK) -> None:
        """Let all sides hear each other, then measure and end the audio.

        Raises:
            Failed: Somebody hears nothing, or what they hear was altered.
        """
        await self.listen(packets)
        self.close()
        bad = [heard for heard in self.heard if not heard.fine]
        if bad:
            raise Failed("; ".join(_complaint(heard) for heard in bad))

    def close(self) -> None:
        """Stop all audio and keep what was measured; harmless when repeated."""
        if self.heard:
            return
        for _, known in self._legs:
            known.stream.pause()
        self.heard = tuple(Heard(title, known.close()) for title, known in self._legs)


Play = Callable[[Story], Awaitable[str]]
"""Tells the story; returns the sentence about how it went, or raises Failed or Silence."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story with the requirements it proves.

    Attributes:
        name: Stable name for the command line.
        title: One line for a person.
        proves: Requirement ids of facts/teams.md.
        play: Tells it.
        within: Seconds it may take.
        pings: True when OPTIONS are the story itself: since the lab came up, and in the ladder.
        site: The folder below examples/ of the site.yaml it needs.
    """

    name: str
    title: str
    proves: tuple[str, ...]
    play: Play
    within: float = 25.0
    pings: bool = False
    site: str = FIRST_SITE

    async def run(self, lab: stage.Lab) -> Outcome:
        """Tell the story once; whatever goes wrong on the way becomes the outcome."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        marks = _Marks(0, (0,) * len(lab.complaints)) if self.pings else _marks(lab)
        for actor in lab.everybody:
            actor.skip_calls()
        story = Story(lab)
        failure = ""
        sentence = ""
        try:
            async with asyncio.timeout(self.within):
                sentence = await self.play(story)
        except TimeoutError:
            failure = f"not done within {self.within:g} s"
        except (Failed, journal.Silence, grammar.SipError, OSError) as error:
            failure = str(error)
        finally:
            story.close()
        broken = _broken_since(lab, marks)
        return Outcome(
            name=self.name,
            title=self.title,
            proves=self.proves,
            ok=not failure and not broken,
            sentence=_verdict(sentence, failure, broken),
            broken=broken,
            media=story.heard,
            trace=_trace_since(lab, marks.log, pings=self.pings),
            seconds=loop.time() - began,
        )


def untold(known: Scenario, why: str) -> Outcome:
    """The outcome of a story that could not begin."""
    return Outcome(
        name=known.name,
        title=known.title,
        proves=known.proves,
        ok=False,
        sentence=why,
        broken=(),
        media=(),
        trace=(),
        seconds=0.0,
    )


@dataclass(frozen=True, slots=True)
class _Marks:
    """How far the log and everybody's complaints were when the story began."""

    log: int
    complaints: tuple[int, ...]


def _marks(lab: stage.Lab) -> _Marks:
    return _Marks(len(lab.log.entries), tuple(len(known.entries) for known in lab.complaints))


def _broken_since(lab: stage.Lab, marks: _Marks) -> tuple[evidence.Broken, ...]:
    pairs = zip(lab.complaints, marks.complaints, strict=True)
    found = (broken for known, mark in pairs for broken in known.entries[mark:])
    return tuple(dict.fromkeys(found))


def _trace_since(lab: stage.Lab, mark: int, *, pings: bool) -> tuple[ladder.Trace, ...]:
    found = lab.log.entries[mark:]
    return tuple(trace for trace in found if _is_ping(trace.text) == pings)


def _is_ping(text: str) -> bool:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "cseq":
            return value.split()[-1:] == ["OPTIONS"]
    return False


def _verdict(sentence: str, failure: str, broken: tuple[evidence.Broken, ...]) -> str:
    if not failure and not broken:
        return sentence
    first = str(broken[0]) if broken else ""
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    return "; ".join(part for part in (failure, f"broken {first}{more}" if first else "") if part)


def _complaint(heard: Heard) -> str:
    report = heard.report
    if not report.received:
        return f"{heard.title}: nothing arrived"
    if report.altered or report.forged:
        return f"{heard.title}: {report.altered} packets altered, {report.forged} forged"
    if report.early > media.TOLERATED_EARLY:
        return f"{heard.title}: the first {report.early} packets were lost"
    return f"{heard.title}: {report.loss:.1%} of the packets were lost"
