"""What a soak is to do, and what it found; values only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from orchestrator.lab import evidence, remains, soak_calls, story


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        calls: How many calls, the ones to warm up not counted.
        rate: Calls begun in a second.
        seconds: How long calls are placed at most.
        warm_up: Calls before the first look at the engines; without any, memory and rows that
            end by themselves are not judged.
        kinds: What is called.
        hour: Whether a call of an hour each way comes first, in all its packets.
    """

    calls: int
    rate: float
    seconds: float
    warm_up: int
    kinds: tuple[soak_calls.Kind, ...] = soak_calls.KINDS
    hour: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that did not go as it must: its kind, why, and what was on the wire."""

    kind: str
    why: str
    ladder: str = ""


@dataclass(slots=True)
class Tally:
    """What has happened so far.

    Attributes:
        calls: Calls that went as they must, by kind.
        failures: The others.
        packets: Audio packets that arrived, each compared byte by byte.
        lost: Packets that did not arrive.
        altered: Packets that arrived altered or forged.
        worst_gap_ms: Longest time between two packets of a stream.
        setups: Seconds from dialling to the connected call, of each answered one.
        late: Seconds by which the latest call was begun too late.
    """

    calls: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    packets: int = 0
    lost: int = 0
    altered: int = 0
    worst_gap_ms: float = 0.0
    setups: list[float] = field(default_factory=list)
    late: float = 0.0

    @property
    def ended(self) -> int:
        """Calls that are over, however they went."""
        return self.calls.total() + len(self.failures)

    def hear(self, heard: tuple[story.Heard, ...]) -> None:
        """Add what the ends of a call heard."""
        for report in (each.report for each in heard):
            self.packets += report.received
            self.lost += report.lost
            self.altered += report.altered + report.forged
            self.worst_gap_ms = max(self.worst_gap_ms, report.max_gap_ms)

    def setup_ms(self, share: float) -> float:
        """Milliseconds in which that share of the answered calls was connected."""
        known = sorted(self.setups)
        return round(known[min(int(len(known) * share), len(known) - 1)] * 1000, 1) if known else 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a soak found.

    Attributes:
        engines: The engines with their versions.
        plan: What was to be done.
        seconds: How long calls were placed and under way.
        tally: How they went; the ones to warm up are not in it.
        broken: Rules of Microsoft's or of the trunks that the SBC broke, each once.
        before: What the engines held before the calls.
        after: What they held after them; None when one did not answer any more.
        left: What the calls left behind, a sentence each.
        hours: How the calls of an hour went.
        stopped: Why it ended before all calls were placed, or an empty string.
    """

    engines: str
    plan: Plan
    seconds: float
    tally: Tally
    broken: tuple[evidence.Broken, ...]
    before: remains.Remains
    after: remains.Remains | None
    left: tuple[str, ...]
    hours: tuple[story.Outcome, ...]
    stopped: str

    @property
    def ok(self) -> bool:
        """True when every call that was planned went as it must, and nothing was left behind."""
        hours = all(outcome.ok for outcome in self.hours)
        return hours and not (self.tally.failures or self.broken or self.left or self.stopped)

    @property
    def rate(self) -> float:
        """Calls in a second, as it really was."""
        return self.tally.ended / self.seconds if self.seconds else 0.0
