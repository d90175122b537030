"""One lab from the first namespace to the last story; the glue between world and stage.

The actors are on the stage before the SBC is applied, because ``apply`` asks Microsoft's names
and the trunks for an answer. They live in this process's event loop; what blocks runs in a thread.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from orchestrator import announce, errors
from orchestrator.lab import (
    addresses,
    authority,
    preflight,
    scenarios,
    stage,
    story,
    tls,
    trouble,
    world,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a lab is made of.

    Attributes:
        examples: The folder of the examples, whose site.yaml files the stories need.
        site: The site.yaml that is applied instead of any of them, or None.
        engine_root: A tree of another Debian release the engines come from, or None.
    """

    examples: Path
    site: Path | None = None
    engine_root: str | None = None

    def file_of(self, site: str) -> Path:
        """The site.yaml for stories that need the example *site*."""
        return self.site or self.examples / site / "site.yaml"


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
        self,
        settings: Settings,
        engines: str,
        made: world.World,
        actors: stage.Lab,
        progress: announce.Progress,
    ) -> None:
        self.engines = engines
        self.world = made
        self.actors = actors
        self._settings = settings
        self._progress = progress
        self._applied: Path | None = None

    async def serve(self, site: str) -> None:
        """Apply the site of an example twice, unless it is the one that serves.

        Args:
            site: The example's folder.

        Raises:
            SbcctlError: ``apply`` failed, or the second one found something to do.
        """
        file = self._settings.file_of(site)
        if file == self._applied:
            return
        # Whatever serves after an apply that failed, the next story needs one of its own.
        self._applied = None
        await _apply(self.world, file, self._progress)
        await _apply_again(self.world, file, self._progress)
        self._applied = file

    async def tell(self, known: story.Scenario) -> story.Outcome:
        """Tell one story, on the site it needs; a failure is in the outcome, not raised."""
        (outcome,) = await self.tell_all((known,))
        return outcome

    async def tell_all(self, wanted: Iterable[story.Scenario]) -> tuple[story.Outcome, ...]:
        """Tell stories one after the other; those that follow each other on one site share it."""
        outcomes = []
        for site, together in itertools.groupby(wanted, key=lambda scenario: scenario.site):
            group = tuple(together)
            try:
                await self.serve(site)
            except errors.SbcctlError as error:
                why = f"{site} could not be applied: {_in_full(error)}"
                outcomes += [story.untold(scenario, why) for scenario in group]
                continue
            outcomes += [await self._tell(scenario) for scenario in group]
        return tuple(outcomes)

    async def _tell(self, known: story.Scenario) -> story.Outcome:
        # The exception only tells the step how it ended.
        with suppress(_WentWrong), self._progress.step("call", known.title) as step:
            outcome = await known.run(self.actors)
            step.note(outcome.sentence)
            if not outcome.ok:
                raise _WentWrong
        return outcome


def find_scenarios(names: Iterable[str], *, own_site: bool = False) -> tuple[story.Scenario, ...]:
    """The scenarios of these names in the order they are told, those of one site together.

    The name of a family that is no scenario's stands for all of it. Without a name: all scenarios,
    and with an operator's own site those of the first example.

    Raises:
        UsageError: There is no such scenario.
    """
    families = scenarios.by_family()
    known = {scenario.name: scenario for scenario in scenarios.SCENARIOS}
    wanted = tuple(
        each
        for name in names
        for each in ((name,) if name in known else families.get(name, (name,)))
    )
    for name in wanted:
        if name not in known:
            raise errors.UsageError(
                f"the lab has no scenario {name}",
                hint=f"`sbcctl lab list` shows them; families are: {', '.join(families)}",
            )
    if wanted:
        chosen = [known[name] for name in known if name in wanted]
    else:
        chosen = [s for s in known.values() if not own_site or s.site == story.FIRST_SITE]
    sites = tuple(dict.fromkeys(scenario.site for scenario in known.values()))
    return tuple(sorted(chosen, key=lambda scenario: sites.index(scenario.site)))


def open_lab(
    settings: Settings,
    progress: announce.Progress,
    play: Callable[[Lab], Awaitable[T]],
    *,
    site: str = story.FIRST_SITE,
) -> T:
    """Build a lab in which the SBC serves *site*, call *play* with it, and end it.

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
            async with stage.open_lab(_ground(made)) as actors:
                lab = Lab(settings, engines, made, actors, progress)
                await lab.serve(site)
                return await play(lab)

        return asyncio.run(perform())


def _in_full(error: errors.SbcctlError) -> str:
    """What an error says, with an engine's own words and what to try."""
    words = error.words if isinstance(error, errors.EngineRefused) else ""
    return "; ".join(part for part in (error.message, words, error.hint) if part)


async def tell(lab: Lab, wanted: Iterable[story.Scenario]) -> Result:
    """Tell the stories one after the other."""
    began = time.monotonic()
    outcomes = await lab.tell_all(wanted)
    return Result(lab.engines, outcomes, time.monotonic() - began)


async def _apply(made: world.World, site: Path, progress: announce.Progress) -> None:
    """Apply the site with the real command."""
    with progress.step("apply", f"{site.parent.name}/{site.name} (certificate by ACME)") as step:
        said = await _beside(lambda: made.apply(site, addresses.SECRETS))
        step.note(f"generation {said.get('generation')}")


async def _apply_again(made: world.World, site: Path, progress: announce.Progress) -> None:
    """Apply it once more: then there is nothing to do."""
    with progress.step("apply", "the same again") as step:
        again = await _beside(lambda: made.apply(site, addresses.SECRETS))
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


def _ground(made: world.World) -> stage.Ground:
    """What the stage needs of the world."""
    # What Microsoft shows: serverAuth only, and the names of both of its faces (EKU-1).
    names = ("sip.pstnhub.microsoft.com", "*.pstnhub.microsoft.com")
    microsoft = made.microsoft.issue(names)
    secure = made.company.issue(
        (addresses.SECURE_HOST, addresses.SECURE_ADDRESS),
        purposes=("serverAuth", "clientAuth"),
        key="ecdsa",
    )
    clouds = [
        made.microsoft.issue((host,)) for host in (addresses.GCC_HIGH_HOST, addresses.DOD_HOST)
    ]
    gcc_high, dod = (
        tls.Identity(own.chain, own.key, world.HOME / authority.GOVERNMENT) for own in clouds
    )
    return stage.Ground(
        sockets=_sockets(made),
        microsoft=tls.Identity(microsoft.chain, microsoft.key, made.acme_root),
        gcc_high=gcc_high,
        dod=dod,
        secure=tls.Identity(secure.chain, secure.key, made.acme_root),
        trouble=trouble.Trouble(made),
    )
