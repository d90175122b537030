"""The way back: put back what served before, read it back and say so."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator import errors, observe, plan
from orchestrator.apply import change
from orchestrator.host import notes
from orchestrator.render import views


@dataclass(frozen=True, slots=True)
class Before:
    """What served when we began: the way back leads there.

    Attributes:
        candidate: Name of the generation that is tried now.
        current: Name of the generation that was current, or None.
        certificate: Name of the certificate that was in use, or None.
        kamailio: Whether Kamailio ran.
        rtpengine: Whether RTPEngine ran.
    """

    candidate: str
    current: str | None
    certificate: str | None
    kamailio: bool
    rtpengine: bool


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Nothing interrupts the way back; signals that came meanwhile arrive at its end."""
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    old = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def go_back(
    machine: observe.Machine,
    progress: change.Progress,
    facts: views.EngineFacts,
    before: Before,
    failure: errors.SbcctlError | KeyboardInterrupt,
) -> None:
    """Restore what served before and say so.

    Returns only after Ctrl-C; a failure is raised as ApplyError.
    """
    said = _sentence(failure)
    with _undisturbed():
        try:
            with progress.step("roll back", "put back what served before") as step:
                restored = _restore(machine, progress, facts, before)
                machine.store.discard(before.candidate)
                step.note(restored)
        except errors.SbcctlError as worse:
            again = _sentence(worse)
            how = "in the same way" if again == said else f"as well: {again}"
            raise errors.HumanNeeded(
                f"{said}; and the way back failed {how}",
                hint="see the engines' logs below the state directory; calls may be affected",
            ) from failure
    if not isinstance(failure, KeyboardInterrupt):
        raise errors.ApplyError(f"{said}. {restored}", hint=failure.hint) from failure


def _restore(
    machine: observe.Machine, progress: change.Progress, facts: views.EngineFacts, before: Before
) -> str:
    """Go back to the last known good generation, or to nothing where there was none."""
    target = machine.store.last_known_good() or before.current
    if target is None:
        machine.store.commit(None)
        machine.store.commit_certificate(before.certificate)
        if not before.kamailio:
            machine.supervisor.stop("kamailio")
        if not before.rtpengine:
            machine.supervisor.stop("rtpengine")
        notes.write_loaded(machine.run, ())
        return "Nothing was installed before, and what was started has been stopped"
    stored = machine.store.load(target)
    if stored is None or stored.drifted:
        changed = ", ".join(stored.drifted) if stored else "its manifest"
        raise errors.HostError(f"generation {target} is damaged: {changed}")
    machine.store.commit_certificate(before.certificate)
    seen = observe.see_installed_certificate(machine)
    observed = observe.observe(machine, stored.generation, facts, seen)
    back = change.Change(machine, progress, stored.generation, None)
    back.carry_out(plan.make_plan(stored.generation, observed))
    back.read_back()
    return f"Generation {target} was restored, read back and serves"


def _sentence(failure: BaseException) -> str:
    """The message of a failure with the engine's own words, on one line."""
    if isinstance(failure, KeyboardInterrupt):
        return "interrupted"
    said = failure.message if isinstance(failure, errors.SbcctlError) else str(failure)
    if isinstance(failure, errors.EngineRefused) and failure.words:
        said += ": " + "; ".join(failure.words.splitlines())
    return said
