"""The load itself, run on the machine of the bench: new calls by the clock, calls that stand.

    python generator.py FOLDER PLAN

PLAN is a JSON object, machine.plan_of(). Orders come as lines on stdin: ``fill``, ``phase NAME``,
``hang-up`` (the calls that stand), ``await-serial SERIAL`` (no connection of Microsoft's was made
with another certificate), ``end``. Each is answered by a line on stdout when it is done.
What became of every call goes to FOLDER/load.json after ``end``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import agent
import audio
import ends
import proxies
import sip

AT_A_TIME = 50
"""Calls a second that are set up or taken down when the standing ones come and go."""
WIND_UP = 20.0
POLL = 0.05
MOST_EVENTS = 60


class Phase:
    """What happened to the calls that were dialled in one phase, and to requests sent in it."""

    def __init__(self, sources: Iterable[str]) -> None:
        self.began = time.time()
        self.seconds = 0.0
        self.counts: Counter[str] = Counter()
        self.delays: dict[str, list[float]] = {source: [] for source in sources}
        self.events: list[dict] = []
        self.latest = 0.0

    def told(self) -> dict:
        return {
            "began": self.began,
            "seconds": self.seconds,
            "counts": dict(self.counts),
            "delay_ms": {source: spread(delays) for source, delays in self.delays.items()},
            "latest_ms": self.latest * 1000,
            "events": self.events,
        }


def spread(seconds: list[float]) -> dict[str, float]:
    """Median, 99th in a hundred and the longest, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100) if len(seconds) > 1 else [0.0] * 99
    longest = max(seconds, default=0.0)
    return {"median": cuts[49] * 1e3, "p99": min(cuts[98], longest) * 1e3, "max": longest * 1e3}


class Load:
    """All calls of one run."""

    def __init__(self, folder: Path, plan: dict) -> None:
        self.folder = folder
        self.plan = plan
        self.phases: dict[str, Phase] = {}
        self.name = "fill"
        self.phase = self.phases.setdefault("fill", Phase(plan["rate"]))
        self.numbers = itertools.count(1)
        # Of no generator before: a Call-ID that came back would be a loop (482).
        self.host = f"load{time.time_ns():x}"
        self.standing: list[agent.Call] = []
        self.short: set[str] = set()
        self.tasks: list[asyncio.Task[None]] = []
        self.dialling: asyncio.Task[None] | None = None
        self.teams: ends.TeamsEnd
        self.agent = agent.Agent(dialled=plan["dialled"], tell=self._tell, fail=self._fail)
        self.agent.is_relayed = plan.get("is_relayed", True)
        if "proxy" in plan:
            sip.SBC, sip.SBC_TEAMS = plan["proxy"]
        sip.FQDN = plan.get("fqdn", sip.FQDN)
        self.agent.callee = ends.UdpEnd(self.agent, plan["callee"])
        carrier = ends.UdpEnd(self.agent, plan["caller"])
        if "proxies" in plan:
            self.teams = proxies.TeamsEnd(self.agent, plan["teams"], folder, plan["proxies"])
            # The office calls Teams as well.
            self.agent.others["office"] = (self.teams, plan["proxies"]["dialled"])
        else:
            self.teams = ends.TeamsEnd(self.agent, plan["teams"], folder)
        every = {"carrier": carrier, "teams": self.teams, "office": self.agent.callee}
        self.agent.callers = {source: every[source] for source in plan["rate"]}
        beside = str(Path(__file__).with_name("audio.py"))
        words = (
            beside,
            str(folder / "audio.json"),
            str(plan["gap"]),
            *(plan[s] for s in audio.SIDES),
        )
        self.audio = subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE)

    # -- accounts -----------------------------------------------------------------------------

    def _tell(self, what: str, count: int = 1) -> None:
        self.phase.counts[what] += count

    def _fail(self, call: agent.Call, why: str) -> None:
        # A set-up counts where it was dialled, a lost dialog where it was found out.
        phase = self.phases[call.phase] if call.is_new else self.phase
        what = "failed" if call.is_new else "lost"
        phase.counts[what] += 1
        phase.counts[f"{call.source}_{what}"] += 1
        phase.counts[f"{call.kind}_{call.state}_failed"] += 1
        if len(phase.events) < MOST_EVENTS:
            dialled = time.time() - (time.monotonic() - call.dialled)
            told = {"at": time.time(), "dialled": dialled, "what": why}
            phase.events.append({**told, "call": f"{call.kind} of {call.source}"})

    # -- orders -------------------------------------------------------------------------------

    async def obey(self, order: str) -> None:
        words = order.split()
        if words[0] == "fill":
            await self._fill()
        elif words[0] == "phase":
            self._enter(words[1])
        elif words[0] == "hang-up":
            await self._hang_up()
        elif words[0] == "await-serial":
            assert isinstance(self.teams, proxies.TeamsEnd)
            await self._until(functools.partial(self.teams.shows_only, int(words[1])), 60.0)
        else:
            await self._end()

    def _enter(self, name: str) -> None:
        """The next phase begins; new calls are placed from now on."""
        self.phase.seconds = time.time() - self.phase.began
        self.name = name
        self.phase = self.phases.setdefault(name, Phase(self.plan["rate"]))
        self._order({"phase": name})
        if not self.tasks:
            places = [self._place(s, self.plan["rate"][s]) for s in self.agent.callers]
            self.tasks = [asyncio.create_task(each) for each in (*places, self._ask())]

    async def _fill(self) -> None:
        """Set up the calls that stand; the first of each source talk."""
        if self.dialling is None:
            self.dialling = asyncio.create_task(self.teams.dial())
        for source in self.agent.callers:
            for number in range(self.plan["standing"][source]):
                talks = number < self.plan["talking"][source]
                call = agent.Call(
                    *(f"s{len(self.standing)}@{self.host}", source, "standing", self.name, 0.0),
                    port=audio.PORT if talks else agent.SILENT_PORT,
                    when_up=self._talk if talks else None,
                )
                self.standing.append(call)
                self.agent.dial(call)
                await asyncio.sleep(1 / AT_A_TIME)
        await self._until(lambda: not any(call.is_new for call in self.standing))

    @staticmethod
    async def _until(true: Callable[[], bool], seconds: float = WIND_UP) -> None:
        """Wait for a condition, but not for ever: what did not happen is in the account."""
        for _ in range(int(seconds / POLL)):
            if true():
                return
            await asyncio.sleep(POLL)

    def _talk(self, call: agent.Call) -> None:
        """Let both ends of a call send audio; towards Teams it is encrypted."""
        stream = self.standing.index(call) * 2
        own = self.teams.key if call.source == "teams" else ""
        side = audio.SIDES.index("teams" if call.source == "teams" else "caller")
        self._order({"add": [stream, side, *call.media[0], own, ""]})
        self._order({"add": [stream + 1, 1, *call.media[1], "", call.sbc_key]})

    def _order(self, order: dict) -> None:
        assert self.audio.stdin
        self.audio.stdin.write(json.dumps(order).encode() + b"\n")
        self.audio.stdin.flush()

    async def _place(self, source: str, rate: float) -> None:
        """New calls by the clock, whatever becomes of those before."""
        due = time.monotonic()
        while rate:
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.phase.latest = max(self.phase.latest, time.monotonic() - due)
            call = agent.Call(
                *(
                    f"n{next(self.numbers)}@{self.host}",
                    source,
                    "new",
                    self.name,
                    self.plan["ring"],
                ),
                when_up=self._up,
                when_over=self._over,
            )
            self.short.add(call.call_id)
            self.phase.counts["dialled"] += 1
            self.phase.counts[f"{source}_dialled"] += 1
            self.agent.dial(call)

    def _up(self, call: agent.Call) -> None:
        phase = self.phases[call.phase]
        phase.counts["connected"] += 1
        phase.delays[call.source].append(call.setup)
        by_callee = bool(int(call.name[1:]) % 2)
        loop = asyncio.get_running_loop()
        loop.call_later(self.plan["hold"], lambda: self.agent.hang_up(call, by_callee=by_callee))

    def _over(self, call: agent.Call) -> None:
        self.short.discard(call.call_id)

    async def _ask(self) -> None:
        """In every standing dialog, by turns: OPTIONS of the callee, a re-INVITE."""
        due = time.monotonic()
        for turn in itertools.count() if self.standing else ():
            for call in self.standing:
                due += self.plan["period"] / len(self.standing)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if turn % 2:
                    self.agent.ask(call, "INVITE")
                else:
                    self.agent.ask(call, "OPTIONS", by_callee=True)

    async def _end(self) -> None:
        """Hang up, and write down what was found."""
        for task in self.tasks:
            task.cancel()
        await self._until(lambda: not self.short)
        assert self.audio.stdin
        self.audio.stdin.close()
        self.audio.wait(timeout=10)
        await self._hang_up()
        self.phase.seconds = time.time() - self.phase.began
        told = {
            "phases": {name: phase.told() for name, phase in self.phases.items()},
            "standing": dict(Counter(call.state for call in self.standing)),
            "short_left": len(self.short),
            "audio": json.loads((self.folder / "audio.json").read_text()),
            "connections": getattr(self.teams, "connections", []),
        }
        (self.folder / "load.json").write_text(json.dumps(told))

    async def _hang_up(self) -> None:
        """End the calls that stand, from either side by turns."""
        if self.audio.poll() is None:
            self._order({"silence": True})
        for number, call in enumerate(self.standing):
            self.agent.hang_up(call, by_callee=bool(number % 2))
            await asyncio.sleep(1 / AT_A_TIME / 2)
        await self._until(lambda: all(call.state != "ending" for call in self.standing))


async def main(folder: Path, plan: dict) -> None:
    load = Load(folder, plan)
    await load.teams.listen()
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
    # Complaints go to a file: nobody reads a pipe meanwhile, and a full one stands still.
    with Path(sys.argv[1], "generator.log").open("wb") as log:
        os.dup2(log.fileno(), 2)
    gc.freeze()
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
