"""How much of their limits customers and trunks use now, the fullest first.

What Kamailio counts is dumped, table by table: three questions as a rule, however many customers
there are, and none where nobody has such a limit. Minutes are sums (docs/decisions/0040): what
calls that talk have talked is ``calls * now - since``, by integers of 32 bits before 6.0.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.engines import kamailio, kamailio_rpc
from orchestrator.render import generation as generations
from orchestrator.render import wanted

_DAY = 86400
_LONGEST = 50_000
"""Seconds after which a call that nobody ended is forgotten (table metered)."""
_WORD = 1 << 32
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Limit:
    """What a customer or a trunk may use.

    Attributes:
        whose: A customer's name at Microsoft, or a trunk.
        name: What site.yaml calls it.
        calls: Calls at once; None without such a limit.
        minutes: Minutes of a day; None without such a limit.
    """

    whose: str
    name: str
    calls: int | None = None
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What it uses.

    Attributes:
        limit: What it may.
        calls: Its calls now.
        seconds: What its calls have talked today; None where that is not counted or not known.
    """

    limit: Limit
    calls: int
    seconds: int | None = None

    @property
    def share(self) -> float:
        """How much of the limit that is used most: 1.0 is all of it."""
        calls = self.calls / self.limit.calls if self.limit.calls else 0.0
        talked = (self.seconds or 0) / 60
        return max(calls, talked / self.limit.minutes if self.limit.minutes else 0.0)


@dataclass(frozen=True, slots=True)
class Counts:
    """What Kamailio counted, as its tables have it (templates/kamailio/routes/limits.cfg.j2).

    Attributes:
        at: When, in UNIX seconds.
        busy: Calls of each.
        talking: How many of them talk, and the sum of since when.
        talked: What those that ended have talked, by day.
    """

    at: int
    busy: Mapping[str, str] = field(default_factory=dict)
    talking: Mapping[str, str] = field(default_factory=dict)
    talked: Mapping[str, str] = field(default_factory=dict)


def look(rpc: kamailio_rpc.Rpc, generation: generations.Generation) -> tuple[Use, ...]:
    """Ask the running Kamailio.

    Raises:
        EngineSilent: It does not answer.
    """
    limits = limits_in(generation)
    if not limits:
        return ()
    busy, timed = _rows(rpc, "busy"), [each.whose for each in limits if each.minutes]
    if not timed:
        return judge(limits, Counts(int(time.time()), busy))
    for _ in range(_TRIES):
        talking = _rows(rpc, "talking")
        counts = Counts(int(time.time()), busy, talking, _rows(rpc, "talked"))
        # A call that began or ended meanwhile may be in one sum and not in the other.
        if all(_talks(counts, whose) is not None for whose in timed):
            break
    return judge(limits, counts)


def limits_in(generation: generations.Generation) -> tuple[Limit, ...]:
    """Everybody whose calls at once, or minutes of a day, have a limit in the rendered tables."""
    there = {file.path: file for file in wanted.tables_of(generation)}
    found: list[Limit] = []
    for path in (wanted.TENANT_TABLE, wanted.TRUNK_TABLE):
        for key, row in wanted.table_rows(there[path]) if path in there else ():
            if "max=" in row or "min=" in row:
                found += _limit(key, row)
    return tuple(found)


def _limit(whose: str, row: str) -> Iterator[Limit]:
    told = dict(part.partition("=")[::2] for part in row.split(";"))
    calls, minutes = (int(told[key]) if key in told else None for key in ("max", "min"))
    if calls or minutes:
        yield Limit(whose, told.get("n", whose), calls, minutes)


def judge(limits: tuple[Limit, ...], counts: Counts) -> tuple[Use, ...]:
    """What each uses, who has least room first, then by name."""
    found = [
        Use(each, int(counts.busy.get(each.whose, 0)), _seconds(counts, each)) for each in limits
    ]
    return tuple(sorted(found, key=lambda each: (-each.share, each.limit.whose)))


def _seconds(counts: Counts, limit: Limit) -> int | None:
    talks = _talks(counts, limit.whose) if limit.minutes else None
    if talks is None:
        return None
    return talks + int(counts.talked.get(f"{limit.whose}/{counts.at // _DAY}", 0))


def _talks(counts: Counts, whose: str) -> int | None:
    """Seconds that calls have talked which talk now; None when the two sums do not fit."""
    calls = int(counts.talking.get(whose, 0))
    found = (calls * counts.at - int(counts.talking.get(f"{whose}/since", 0))) % _WORD
    return found if found <= calls * _LONGEST else None


def _rows(rpc: kamailio_rpc.Rpc, table: str) -> Mapping[str, str]:
    return kamailio.table_rows(rpc, table) or {}
