"""Very many calls of every kind at a steady rate, and whether they leave anything behind.

1. A few hundred calls warm the engines up: caches fill, workers get the memory they will keep.
2. Once nothing is under way any more, the engines are asked what they hold.
3. The calls are placed by the clock, not one after the other: a slow one delays nobody.
4. Once nothing is under way again, the engines are asked once more, and both are compared.

It ends by itself: after its calls, after its time, after too many failures, or on Ctrl-C, which
lets the calls end that are under way.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from orchestrator import errors
from orchestrator.lab import (
    journal,
    leg,
    remains,
    run,
    soak_calls,
    soak_result,
    stage,
    story,
)
from orchestrator.lab.scenarios import long, openings
from orchestrator.sip import grammar, ladder

INTERRUPTED = "somebody ended it"
"""Why a soak ended on Ctrl-C."""

CALL_WITHIN = 30.0
"""Seconds one call may take."""
MOST_FAILURES = 50
"""Failed calls after which no more are placed."""
TELL_EVERY = 5.0
"""Seconds between two lines of progress."""

_KEPT_TRACES = 5_000
_LADDERS = 3
_FORGET_AFTER = 8.0
_REGISTER_EVERY = 100.0
_WIND_UP = 3.0
_MOST_ROUNDS = 300
_QUIET_ROUNDS = 25
_CACHED_POINT = 500_000
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Timed(story.Story):
    """A call that takes the time until it is connected."""

    def __init__(self, lab: stage.Lab) -> None:
        super().__init__(lab)
        self._began = asyncio.get_running_loop().time()
        self.setup: float | None = None

    async def connect(self, caller: leg.OutgoingLeg, callee: leg.IncomingLeg) -> None:
        """Connect, and remember how long it took."""
        await super().connect(caller, callee)
        if self.setup is None:
            self.setup = asyncio.get_running_loop().time() - self._began


class Soak:
    """One soak in one lab; to be played once.

    Args:
        lab: Whose SBC serves.
        plan: What is to be done.
        tell: Is told how far it is, a line each time.
    """

    def __init__(self, lab: run.Lab, plan: soak_result.Plan, tell: Callable[[str], None]) -> None:
        self._lab = lab
        self._plan = plan
        self._tell = tell
        self._stopped = asyncio.Event()
        self._why = ""
        self._interrupted_at: float | None = None
        self._turns: Counter[str] = Counter()
        self._under_way: set[asyncio.Task[None]] = set()

    async def play(self) -> soak_result.Result:
        """Do it all.

        Raises:
            EngineError: An engine does not answer.
        """
        actors = self._lab.actors
        actors.log.keep = _KEPT_TRACES
        marks = [len(broken.entries) for broken in actors.complaints]
        loop = asyncio.get_running_loop()
        warm, tally = soak_result.Tally(), soak_result.Tally()
        await openings.register(actors)
        with self._ends_on_signal(loop):
            await self._place(self._plan.warm_up, warm, "warm-up")
            await self._fill_caches()
            thorough = self._plan.warm_up > 0
            before = await self._settled(thorough=thorough)
            hours = await self._talk_for_hours() if self._plan.hour else ()
            began = loop.time()
            await self._place(self._plan.calls, tally, "soak")
            seconds = loop.time() - began
            self._tell("soak: waiting until the engines are quiet")
            after, left = await self._compared(before, thorough=thorough)
        tally.failures[:0] = warm.failures
        found = zip(actors.complaints, marks, strict=True)
        broken = (each for known, mark in found for each in known.entries[mark:])
        return soak_result.Result(
            engines=self._lab.engines,
            plan=self._plan,
            seconds=seconds,
            tally=tally,
            broken=tuple(dict.fromkeys(broken)),
            before=before,
            after=after,
            left=left,
            hours=hours,
            stopped=self._why,
        )

    async def _compared(
        self, before: remains.Remains, *, thorough: bool
    ) -> tuple[remains.Remains | None, tuple[str, ...]]:
        """What the engines hold now, and what was left behind; an engine that died is told too."""
        try:
            after = await self._settled(thorough=thorough)
        except errors.EngineError as error:
            return None, (error.message,)
        return after, remains.left_over(before, after, whole=thorough and not self._why)

    async def _settled(self, *, thorough: bool) -> remains.Remains:
        """What the engines hold when nothing is under way; what they hold now after Ctrl-C."""
        wait = remains.EXPIRY if thorough else remains.PATIENCE
        if self._interrupted_at is not None:
            wait, thorough = _WIND_UP, False
        began = asyncio.get_running_loop().time()
        return await remains.settled(
            self._lab,
            within=wait,
            expired=thorough,
            enough=lambda: self._interrupted_at is not None and self._interrupted_at > began,
        )

    async def _place(self, calls: int, tally: soak_result.Tally, name: str) -> None:
        """Begin that many calls by the clock, and wait until all are over."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        registering = asyncio.create_task(self._stay_registered())
        telling = asyncio.create_task(self._tell_on(tally, calls, name))
        try:
            for number, kind in enumerate(
                itertools.islice(soak_calls.mix(self._plan.kinds), calls)
            ):
                due = began + number / self._plan.rate
                if due - began > self._plan.seconds:
                    self._stop(f"the time of {self._plan.seconds:g} s was over")
                await self._sleep_until(due)
                if self._stopped.is_set():
                    break
                tally.late = max(tally.late, loop.time() - due)
                self._begin(kind, tally)
            while self._under_way:
                await asyncio.wait(self._under_way, timeout=1.0)
                self._give_up_late_calls()
        finally:
            registering.cancel()
            telling.cancel()
            await asyncio.gather(registering, telling, return_exceptions=True)

    async def _fill_caches(self) -> None:
        """Let Kamailio dial Microsoft until that costs no more memory.

        A TLS library may keep something of each connection: wolfSSL kept the tables of 15 points
        of elliptic curves in each TCP worker, 0.8 MB each, one for every connection.
        """
        if not self._plan.warm_up:
            return
        self._tell("warm-up: new connections, until they cost no more memory")
        actors, most, quiet = self._lab.actors, 0, 0
        for _ in range(_MOST_ROUNDS):
            told = story.Story(actors)
            caller, callee = await openings.pbx_to_teams(told)
            callee.refuse(486)
            await caller.connected()
            told.close()
            self._forget(told.call_ids)
            # All of them: a worker that keeps one is passed over for the next.
            for actor in actors.everybody:
                await actor.drop_connections()
            used = remains.look(self._lab).kamailio.shared
            quiet = quiet + 1 if used < most + _CACHED_POINT else 0
            most = max(most, used)
            if quiet >= _QUIET_ROUNDS or self._stopped.is_set():
                break

    async def _talk_for_hours(self) -> tuple[story.Outcome, ...]:
        outcomes = []
        for known in long.WHOLE:
            self._tell(f"{known.title}, {long.PACE:g} times as fast")
            outcomes.append(await known.run(self._lab.actors))
            self._tell(outcomes[-1].sentence)
        return tuple(outcomes)

    async def _sleep_until(self, due: float) -> None:
        """Sleep until *due*, or until nothing more is to be begun."""
        pause = due - asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(pause, 0)):
                await self._stopped.wait()

    def _begin(self, kind: soak_calls.Kind, tally: soak_result.Tally) -> None:
        turn = soak_calls.Turn(self._turns[kind.name], _Timed(self._lab.actors))
        self._turns[kind.name] += 1
        task = asyncio.create_task(self._call(kind, turn, tally))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _call(
        self, kind: soak_calls.Kind, turn: soak_calls.Turn, tally: soak_result.Tally
    ) -> None:
        """Place one call; whatever goes wrong on the way is in the tally."""
        told = turn.told
        assert isinstance(told, _Timed)
        why = ""
        try:
            async with asyncio.timeout(CALL_WITHIN):
                await kind.play(turn)
        except TimeoutError:
            why = f"not over within {CALL_WITHIN:g} s"
        except (story.Failed, journal.Silence, grammar.SipError, OSError) as error:
            why = str(error)
        finally:
            told.close()
        tally.hear(told.heard)
        if told.setup is not None:
            tally.setups.append(told.setup)
        if why:
            self._note_failure(kind, told, tally, why)
        else:
            tally.calls[kind.name] += 1
        asyncio.get_running_loop().call_later(_FORGET_AFTER, self._forget, told.call_ids)

    def _note_failure(
        self, kind: soak_calls.Kind, told: story.Story, tally: soak_result.Tally, why: str
    ) -> None:
        drawn = ""
        if len(tally.failures) < _LADDERS:
            traces = self._lab.actors.log.entries
            own = tuple(t for t in traces if any(known in t.text for known in told.call_ids))
            drawn = ladder.draw_text(own)
        tally.failures.append(soak_result.Failure(kind.name, why, drawn))
        self._tell(f"soak: a call failed ({kind.title}): {why}")
        if len(tally.failures) >= MOST_FAILURES:
            self._stop(f"{MOST_FAILURES} calls had failed")

    def _forget(self, call_ids: tuple[str, ...]) -> None:
        for actor in self._lab.actors.everybody:
            for call_id in call_ids:
                actor.forget(call_id)

    async def _stay_registered(self) -> None:
        """Register the phone now and then; a refusal becomes a failed call."""
        while True:
            await openings.register(self._lab.actors)
            await asyncio.sleep(_REGISTER_EVERY)

    async def _tell_on(self, tally: soak_result.Tally, calls: int, name: str) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await asyncio.sleep(TELL_EVERY)
            begun = tally.ended + len(self._under_way)
            self._tell(
                f"{name}: {begun} of {calls} calls begun, {begun / (loop.time() - began):.1f} in a"
                f" second, {len(self._under_way)} under way, {len(tally.failures)} failed"
            )

    def _give_up_late_calls(self) -> None:
        """After Ctrl-C nobody waits long for calls that do not end."""
        now = asyncio.get_running_loop().time()
        if self._interrupted_at is not None and now > self._interrupted_at + _WIND_UP:
            for task in self._under_way:
                task.cancel()

    def _stop(self, why: str) -> None:
        if why == INTERRUPTED:
            self._interrupted_at = asyncio.get_running_loop().time()
        self._why = self._why or why
        self._stopped.set()

    @contextmanager
    def _ends_on_signal(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Begin no more calls after Ctrl-C; the ones under way end by themselves."""
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._stop, INTERRUPTED)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
