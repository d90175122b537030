"""One lab from the first namespace to the last story; the glue between world and stage.

The actors are on the stage before the SBC is applied, because ``apply`` asks Microsoft's names
and the trunks for an answer. They live in this process's event loop; what blocks runs in a thread.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from orchestrator import announce, errors
from orchestrator.lab import addresses, preflight, scenarios, stage, story, tls, world

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a lab is made of.

    Attributes:
        site: The site.yaml that is applied in it.
        engine_root: A tree of another Debian release the engines come from, or None.
    """

    site: Path
    engine_root: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a run of the lab found.

    Attributes:
        engines: The engines with their versions.
        outcomes: How each story ended, in the order they were told.
        seconds: How long the stories took.
    """

    engines: str
    outcomes: tuple[story.Outcome, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """True when every story went as told."""
        return bool(self.outcomes) and all(outcome.ok for outcome in self.outcomes)


class _WentWrong(Exception):
    """Marks the step of a story that failed."""


class Lab:
    """A lab whose SBC serves: scenarios can be told in it.

    Attributes:
        engines: The engines with their versions.
        world: The machines and the links.
        actors: Microsoft, the PBX and the phone.
    """

    def __init__(
        self, engines: str, made: world.World, actors: stage.Lab, progress: announce.Progress
    ) -> None:
        self.engines = engines
        self.world = made
        self.actors = actors
        self._progress = progress

    async def tell(self, known: story.Scenario) -> story.Outcome:
        """Tell one story; a failure is in the outcome, not raised."""
        # The exception only tells the step how it ended.
        with suppress(_WentWrong), self._progress.step("call", known.title) as step:
            outcome = await known.run(self.actors)
            step.note(outcome.sentence)
            if not outcome.ok:
                raise _WentWrong
        return outcome


def find_scenarios(names: Iterable[str]) -> tuple[story.Scenario, ...]:
    """The scenarios of these names in the order they are told; all without a name.

    Raises:
        UsageError: There is no such scenario.
    """
    wanted = tuple(names)
    known = {scenario.name: scenario for scenario in scenarios.SCENARIOS}
    for name in wanted:
        if name not in known:
            raise errors.UsageError(
                f"the lab has no scenario {name}", hint=f"there are: {', '.join(known)}"
            )
    return tuple(s for s in scenarios.SCENARIOS if not wanted or s.name in wanted)


def open_lab(
    settings: Settings, progress: announce.Progress, play: Callable[[Lab], Awaitable[T]]
) -> T:
    """Build a lab in which the SBC of *settings* serves, call *play* with it, and end it.

    To be used inside a sandbox, outside of any event loop: it starts the one *play* runs in.

    Raises:
        HostError: Something is missing on this machine.
        EngineError: A server of the lab does not answer, or ``apply`` failed.
        ApplyError: The second ``apply`` found something to do.
    """
    with progress.step("preflight", "engines and tools") as step:
        preflight.check(settings.engine_root)
        engines = preflight.describe_engines(settings.engine_root)
        step.note(engines)
    with world.World(progress=progress, engine_root=settings.engine_root) as made:

        async def perform() -> T:
            async with stage.open_lab(_sockets(made), _identity(made)) as actors:
                await _apply(made, settings.site, progress)
                return await play(Lab(engines, made, actors, progress))

        return asyncio.run(perform())


async def tell(lab: Lab, wanted: Iterable[story.Scenario]) -> Result:
    """Tell the stories one after the other."""
    began = time.monotonic()
    outcomes = [await lab.tell(scenario) for scenario in wanted]
    return Result(lab.engines, tuple(outcomes), time.monotonic() - began)


async def _apply(made: world.World, site: Path, progress: announce.Progress) -> None:
    """Apply the site with the real command, and once more: then there is nothing to do."""
    env = {addresses.PHONE_PASSWORD_VARIABLE: addresses.PHONE_PASSWORD}
    with progress.step("apply", f"{site.parent.name}/{site.name} (certificate by ACME)") as step:
        said = await _beside(lambda: made.apply(site, env))
        step.note(f"generation {said.get('generation')}")
    with progress.step("apply", "the same again") as step:
        again = await _beside(lambda: made.apply(site, env))
        steps = again.get("steps")
        if not isinstance(steps, list) or steps:
            raise errors.ApplyError(
                f"a second apply found {len(steps) if isinstance(steps, list) else 'no'} steps",
                hint="this is a fault of sbcctl; please report it with your site.yaml",
            )
        step.note("nothing to do")


async def _beside(work: Callable[[], T]) -> T:
    """Call *work* in a thread of its own and wait for it without stopping the actors.

    The thread is left behind when we are cancelled: it ends with the sandbox, and nobody has to
    wait for it.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def call() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised again by who waits
            loop.call_soon_threadsafe(finish, None, error)
        else:
            loop.call_soon_threadsafe(finish, result, None)

    threading.Thread(target=call, daemon=True, name="lab-beside").start()
    return await done


def _sockets(made: world.World) -> stage.SocketIn:
    def make(
        netns: str,
        family: socket.AddressFamily,
        kind: socket.SocketKind,
        bind: tuple[str, int],
    ) -> socket.socket:
        return made.socket(netns, family, kind, bind=bind)

    return make


def _identity(made: world.World) -> tls.Identity:
    """What Microsoft shows: serverAuth only, and the names of both of its faces (EKU-1)."""
    names = ("sip.pstnhub.microsoft.com", "*.pstnhub.microsoft.com")
    issued = made.microsoft.issue(names)
    return tls.Identity(chain=issued.chain, key=issued.key, roots=made.acme_root)
