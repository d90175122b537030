"""The load itself, run on the machine of the bench: new calls by the clock, calls that stand.

    python generator.py FOLDER PLAN

PLAN is a JSON object: rate, standing, talking, ring, hold, period, and the addresses. Orders come
as lines on stdin: ``fill``, ``phase NAME``, ``wait`` (no new calls until the short ones are over),
``end`` (hang up everything). Each is answered by a line on stdout when it is done. What became of
every call goes to FOLDER/load.json after ``end``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import agent
import audio

AT_A_TIME = 50
"""Calls a second that are set up or taken down when the standing ones come and go."""
WIND_UP = 20.0
POLL = 0.05
MOST_EVENTS = 60


class Phase:
    """What happened to the calls that were dialled in one phase, and to requests sent in it."""

    def __init__(self) -> None:
        self.began = time.time()
        self.seconds = 0.0
        self.counts: Counter[str] = Counter()
        self.delays: list[float] = []
        self.events: list[dict] = []
        self.latest = 0.0

    def told(self) -> dict:
        cuts = statistics.quantiles(self.delays, n=100) if len(self.delays) > 1 else [0.0] * 99
        delays = {"median": cuts[49], "p99": cuts[98], "max": max(self.delays, default=0.0)}
        return {
            "seconds": self.seconds,
            "counts": dict(self.counts),
            "delay_ms": {name: value * 1000 for name, value in delays.items()},
            "latest_ms": self.latest * 1000,
            "events": self.events,
        }


class Load:
    """All calls of one run."""

    def __init__(self, folder: Path, plan: dict) -> None:
        self.folder = folder
        self.plan = plan
        self.phases: dict[str, Phase] = {}
        self.name = "fill"
        self.phase = self.phases.setdefault("fill", Phase())
        self.numbers = itertools.count(1)
        self.standing: list[agent.Call] = []
        self.short: set[str] = set()
        self.placing: asyncio.Task[None] | None = None
        self.asking: asyncio.Task[None] | None = None
        self.agent = agent.Agent(
            caller=plan["caller"],
            callee=plan["callee"],
            dialled=plan["dialled"],
            tell=self._tell,
            fail=self._fail,
        )
        beside = str(Path(__file__).with_name("audio.py"))
        words = (beside, plan["caller"], plan["callee"], str(folder / "audio.json"))
        self.audio = subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE)

    # -- accounts -----------------------------------------------------------------------------

    def _tell(self, what: str, count: int) -> None:
        self.phase.counts[what] += count

    def _fail(self, call: agent.Call, why: str) -> None:
        is_new = call.state in ("dialling", "ringing")
        # A set-up counts where it was dialled, a lost dialog where it was found out.
        phase = self.phases[call.phase] if is_new else self.phase
        what = "failed" if is_new else "lost"
        phase.counts[what] += 1
        if is_new and call.state == "ringing":
            phase.counts["failed_ringing"] += 1
        if call.kind == "standing" and not is_new:
            phase.counts["lost_standing"] += 1
        if len(phase.events) < MOST_EVENTS:
            dialled = time.time() - (time.monotonic() - call.dialled)
            told = {"at": time.time(), "dialled": dialled, "what": why, "call": call.kind}
            phase.events.append(told)

    # -- orders -------------------------------------------------------------------------------

    async def obey(self, order: str) -> None:
        words = order.split()
        if words[0] == "fill":
            await self._fill()
        elif words[0] == "phase":
            self._enter(words[1])
        elif words[0] == "wait":
            await self._wait()
        else:
            await self._end()

    def _enter(self, name: str) -> None:
        """The next phase begins; new calls are placed from now on."""
        self.phase.seconds = time.time() - self.phase.began
        self.name = name
        self.phase = self.phases.setdefault(name, Phase())
        self._order({"phase": name})
        if self.placing is None:
            self.placing = asyncio.create_task(self._place())
        if self.asking is None:
            self.asking = asyncio.create_task(self._ask())

    async def _fill(self) -> None:
        """Set up the calls that stand; the first of them talk."""
        for number in range(self.plan["standing"]):
            talks = number < self.plan["talking"]
            call = agent.Call(
                *(f"s{number}@load", "standing", self.name, 0.0),
                port=audio.PORT if talks else agent.SILENT_PORT,
                when_up=self._talk if talks else None,
            )
            self.standing.append(call)
            self.agent.dial(call)
            await asyncio.sleep(1 / AT_A_TIME)
        await self._until(
            lambda: all(call.state not in ("dialling", "ringing") for call in self.standing)
        )

    @staticmethod
    async def _until(true: Callable[[], bool]) -> None:
        """Wait for a condition, but not for ever: what did not happen is in the account."""
        for _ in range(int(WIND_UP / POLL)):
            if true():
                return
            await asyncio.sleep(POLL)

    def _talk(self, call: agent.Call) -> None:
        number = self.standing.index(call)
        for side in (0, 1):
            self._order({"add": [number * 2 + side, side, *call.media[side]]})

    def _order(self, order: dict) -> None:
        assert self.audio.stdin
        self.audio.stdin.write(json.dumps(order).encode() + b"\n")
        self.audio.stdin.flush()

    async def _place(self) -> None:
        """New calls by the clock, whatever becomes of those before."""
        due = time.monotonic()
        while True:
            due += 1 / self.plan["rate"]
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.phase.latest = max(self.phase.latest, time.monotonic() - due)
            number = next(self.numbers)
            call = agent.Call(
                *(f"n{number}@load", "new", self.name, self.plan["ring"]),
                when_up=self._up,
                when_over=self._over,
            )
            self.short.add(call.call_id)
            self.phase.counts["dialled"] += 1
            self.agent.dial(call)

    def _up(self, call: agent.Call) -> None:
        phase = self.phases[call.phase]
        phase.counts["connected"] += 1
        phase.delays.append(call.setup)
        by_callee = bool(int(call.call_id[1:].partition("@")[0]) % 2)
        loop = asyncio.get_running_loop()
        loop.call_later(self.plan["hold"], lambda: self.agent.hang_up(call, by_callee=by_callee))

    def _over(self, call: agent.Call) -> None:
        self.short.discard(call.call_id)

    async def _ask(self) -> None:
        """In every standing dialog, by turns: OPTIONS of the callee, a re-INVITE."""
        due = time.monotonic()
        for turn in itertools.count():
            for call in self.standing:
                due += self.plan["period"] / len(self.standing)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if turn % 2:
                    self.agent.ask(call, "INVITE")
                else:
                    self.agent.ask(call, "OPTIONS", by_callee=True)

    async def _wait(self) -> None:
        if self.placing:
            self.placing.cancel()
            self.placing = None
        await self._until(lambda: not self.short)

    async def _end(self) -> None:
        """Hang up, and write down what was found."""
        await self._wait()
        if self.asking:
            self.asking.cancel()
        await asyncio.sleep(1)
        assert self.audio.stdin
        self.audio.stdin.close()
        self.audio.wait(timeout=10)
        for number, call in enumerate(self.standing):
            self.agent.hang_up(call, by_callee=bool(number % 2))
            await asyncio.sleep(1 / AT_A_TIME / 2)
        await self._until(lambda: all(call.state != "ending" for call in self.standing))
        self.phase.seconds = time.time() - self.phase.began
        states = Counter(call.state for call in self.standing)
        told = {
            "phases": {name: phase.told() for name, phase in self.phases.items()},
            "standing": dict(states),
            "short_left": len(self.short),
            "audio": json.loads((self.folder / "audio.json").read_text()),
        }
        (self.folder / "load.json").write_text(json.dumps(told))


async def main(folder: Path, plan: dict) -> None:
    load = Load(folder, plan)
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode():
        await load.obey(line.strip())
        print("done", line.strip(), flush=True)
        if line.startswith("end"):
            break
    with contextlib.suppress(ProcessLookupError):
        load.audio.kill()


if __name__ == "__main__":
    gc.freeze()
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
