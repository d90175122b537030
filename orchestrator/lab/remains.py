"""What the engines hold when no call is up: before many calls, and after them.

Calls leave nothing behind when, after them, the engines hold what they held before. Connections
and whatever waits for late messages must be gone before that can be compared, so
:func:`settled` closes the connections and waits. Kamailio has no dialogs to leave behind: the
dialog module is not loaded, what a dialog needs travels in its own messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from orchestrator import observe
from orchestrator.engines import kamailio_load, rtpengine
from orchestrator.host import network, usage
from orchestrator.lab import addresses, run
from orchestrator.render import views

PATIENCE = 90.0
"""Seconds until the engines must be quiet; OPTIONS are under way a few seconds of each minute."""

EXPIRY = 240.0
"""Seconds until the rows of these tables are gone as well, which live for a while on purpose."""
EXPIRING = ("transfer", "ringing", "waiting")
"""Tables whose rows end by themselves."""

SHARED_SLACK = 2_097_152
"""Bytes by which Kamailio's shared memory may grow, however many calls there were: what a TLS
library keeps, and the warm-up of a soak did not meet.
"""
PRIVATE_SLACK = 65_536
"""Bytes by which the private memory of one of its processes may grow."""
ENGINE_SLACK = 8_388_608
"""Bytes by which an engine's memory may grow as the kernel counts it: freed memory is kept."""

FILES_SLACK = {"kamailio": 32, "rtpengine": 0}
"""Files by which the engines may have more open: each of Kamailio's workers keeps the last eight
connections it wrote to at hand, also when they are closed.
"""

_PROGRAMS = ("kamailio", "rtpengine")
_POLL = 1.0


@dataclass(frozen=True, slots=True)
class Remains:
    """What the engines hold at one moment.

    Attributes:
        kamailio: What Kamailio says.
        rtpengine: What RTPEngine says.
        processes: What the kernel says of their processes.
    """

    kamailio: kamailio_load.Load
    rtpengine: rtpengine.Load
    processes: tuple[usage.Usage, ...]

    @property
    def quiet(self) -> bool:
        """True when nothing is under way, and nobody is connected."""
        sip = self.kamailio.transactions + self.kamailio.unfreed + self.kamailio.connections
        return sip + self.rtpengine.sessions + self.rtpengine.ports == 0

    def files(self, program: str) -> int:
        """Files that the processes of *program* have open."""
        return sum(each.files for each in self.processes if each.name == program)

    def memory(self, program: str) -> int:
        """Bytes of memory that the processes of *program* have for themselves."""
        return sum(each.private for each in self.processes if each.name == program)

    def as_json(self) -> dict[str, object]:
        """Everything, for programs."""
        return asdict(self)


def look(lab: run.Lab) -> Remains:
    """Ask the engines of a lab now.

    Raises:
        EngineError: One of them does not answer, or makes no sense.
    """
    paths = views.Paths(state=str(lab.world.state), run=str(lab.world.run))
    machine = observe.Machine(paths=paths, engine_root=None, env={})
    return Remains(
        kamailio=kamailio_load.read_load(machine.rpc),
        rtpengine=network.within(addresses.Namespace.SBC, machine.media.load),
        processes=usage.of_programs(*_PROGRAMS),
    )


async def settled(
    lab: run.Lab,
    *,
    within: float = PATIENCE,
    expired: bool = False,
    enough: Callable[[], bool] = lambda: False,
) -> Remains:
    """Close what is idle, and look as soon as nothing is under way; at the latest after *within*.

    Args:
        lab: Whose SBC serves.
        within: Seconds.
        expired: Whether to wait for the rows that end by themselves as well.
        enough: Whether somebody wants to know at once.

    Raises:
        EngineError: An engine does not answer.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        for actor in lab.actors.everybody:
            await actor.drop_connections()
        found = look(lab)
        waits = expired and any(found.kamailio.rows.get(table) for table in EXPIRING)
        if (found.quiet and not waits) or loop.time() > end or enough():
            return found
        await asyncio.sleep(_POLL)


def left_over(before: Remains, after: Remains, *, whole: bool = True) -> tuple[str, ...]:
    """What calls left behind, a sentence each; nothing when all is well.

    Args:
        before: What the engines held before the calls.
        after: What they held after them.
        whole: Whether memory and rows that end by themselves are judged; not when the caches
            were empty before, and not when nobody waited for the end of such rows.
    """
    found = (*_of_kamailio(after), *_of_rtpengine(before, after), *_of_both(before, after))
    rows = _rows(before, after, passed_over=() if whole else EXPIRING)
    return (*found, *rows, *(_memory(before, after) if whole else ()))


def _of_kamailio(after: Remains) -> Iterator[str]:
    now = after.kamailio
    if now.transactions:
        yield f"Kamailio still knows {now.transactions} transactions"
    if now.unfreed:
        yield f"Kamailio did not free {now.unfreed} transactions"
    if now.connections:
        yield f"Kamailio still has {now.connections} connections"


def _of_rtpengine(before: Remains, after: Remains) -> Iterator[str]:
    now, then = after.rtpengine, before.rtpengine
    if now.sessions:
        yield f"RTPEngine still carries {now.sessions} calls"
    if now.ports:
        yield f"RTPEngine still holds {now.ports} ports"
    if now.cut_off > then.cut_off:
        yield f"{now.cut_off - then.cut_off} calls were never deleted from RTPEngine"


def _of_both(before: Remains, after: Remains) -> Iterator[str]:
    numbers = {each.pid for each in before.processes} ^ {each.pid for each in after.processes}
    if numbers:
        yield "an engine lost a process, or got a new one"
    for program in _PROGRAMS:
        files = after.files(program) - before.files(program)
        if files > FILES_SLACK[program]:
            yield f"{program} has {files} more files open"


def _rows(before: Remains, after: Remains, *, passed_over: tuple[str, ...]) -> Iterator[str]:
    for table, rows in after.kamailio.rows.items():
        then = before.kamailio.rows.get(table, 0)
        if rows > then and table not in passed_over:
            yield f"table {table} has {rows} rows, {then} before"


def _memory(before: Remains, after: Remains) -> Iterator[str]:
    now, then = after.kamailio, before.kamailio
    if now.shared - then.shared > SHARED_SLACK:
        yield f"Kamailio's shared memory grew by {now.shared - then.shared} bytes"
    for process, size in now.private.items():
        grown = size - then.private.get(process, size)
        if grown > PRIVATE_SLACK:
            yield f"the private memory of Kamailio's process {process} grew by {grown} bytes"
    for program in _PROGRAMS:
        grown = after.memory(program) - before.memory(program)
        if grown > ENGINE_SLACK:
            yield f"the memory of {program} grew by {grown} bytes"
