"""The way back: put back what served before, read it back and say so."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from orchestrator import announce, errors, observe, plan
from orchestrator.apply import change
from orchestrator.host import journal, notes, store
from orchestrator.render import generation as generations
from orchestrator.render import views


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
    progress: announce.Progress,
    facts: views.EngineFacts,
    before: journal.Before,
    failure: BaseException,
) -> None:
    """Restore what served before and say so.

    Returns when *failure* was not raised on purpose (Ctrl-C, a fault of sbcctl): it goes on as
    it is, with a note that says what was restored.

    Raises:
        ApplyError: *failure* was raised on purpose; the message says what was restored.
        HumanNeeded: Whatever it was, the way back failed as well.
    """
    said = sentence(failure)
    with _undisturbed():
        try:
            with progress.step("roll back", "put back what served before") as step:
                restored = _restore(machine, progress, facts, before)
                machine.store.mark_good(before.good)
                if before.staged:
                    machine.store.discard(before.candidate)
                # One that stays tells the next run what is true anyway.
                with suppress(errors.HostError):
                    journal.clear(machine.state)
                step.note(restored)
        except Exception as worse:  # noqa: BLE001 - whatever it was, nobody knows what serves
            again = sentence(worse)
            how = "in the same way" if again == said else f"as well: {again}"
            raise errors.HumanNeeded(
                f"{said}; and the way back failed {how}",
                hint="see the engines' logs below the state directory; calls may be affected",
            ) from failure
    if isinstance(failure, errors.SbcctlError):
        raise errors.ApplyError(f"{said}. {restored}", hint=failure.hint) from failure
    failure.add_note(restored)


def _restore(
    machine: observe.Machine,
    progress: announce.Progress,
    facts: views.EngineFacts,
    before: journal.Before,
) -> str:
    """Go back to the last known good generation, or to nothing where there was none."""
    target = before.good or before.current
    if target is None:
        machine.store.commit(None)
        machine.store.commit_certificate(before.certificate)
        if not before.kamailio:
            machine.supervisor.stop("kamailio")
        if not before.rtpengine:
            machine.supervisor.stop("rtpengine")
        if not (before.kamailio or before.rtpengine):
            machine.supervisor.remove_units()
        notes.write_loaded(machine.run, ())
        return "Nothing was installed before, and what was started has been stopped"
    stored = load_whole(machine.store, target)
    machine.store.commit_certificate(before.certificate)
    seen = observe.see_installed_certificate(machine)
    observed = observe.observe(machine, stored.generation, facts, seen)
    rows = observed.kamailio.rows
    back = change.Change(machine, progress, stored.generation, None, rows=rows, name=target)
    back.carry_out(plan.make_plan(stored.generation, observed))
    back.read_back()
    edited = ", ".join(stored.drifted)
    how = f" with what somebody else had changed in {edited}" if edited else ""
    return f"Generation {target} was restored{how}, read back and serves"


def load_whole(kept: store.Store, name: str) -> store.Stored:
    """Load a generation to go back to, as it was rendered where that can still be had.

    Raises:
        HostError: Its manifest or a file is missing, and nowhere else either.
    """
    stored = kept.load(name)
    if stored is None:
        raise errors.HostError(f"generation {name} is damaged: its manifest is missing")
    rendered = _as_rendered(kept, stored)
    if rendered is not None:
        kept.stage(rendered)
        return replace(stored, generation=rendered, drifted=(), missing=())
    if stored.missing:
        raise errors.HostError(
            f"generation {name} is damaged: {', '.join(stored.missing)} cannot be read"
        )
    return stored


def _as_rendered(kept: store.Store, stored: store.Stored) -> generations.Generation | None:
    """The generation as it was written; None when an edited file is nowhere as it was.

    Most files are the same in many generations, so the one that was just tried has them.
    """
    if not stored.drifted:
        return stored.generation
    others = [other for name in kept.names() if (other := kept.load(name))]
    texts = {(file.path, file.digest): file for other in others for file in other.generation.files}
    files = [texts.get(written) for written in stored.written]
    found = tuple(file for file in files if file is not None)
    if len(found) < len(files):
        return None
    return generations.Generation(files=found, skeleton=stored.generation.skeleton)


def sentence(failure: BaseException) -> str:
    """The message of a failure with the engine's own words, on one line."""
    if isinstance(failure, KeyboardInterrupt):
        return "interrupted"
    if not isinstance(failure, errors.SbcctlError):
        return f"{type(failure).__name__}: {failure}"
    said = failure.message
    if isinstance(failure, errors.EngineRefused) and failure.words:
        said += ": " + "; ".join(failure.words.splitlines())
    return said
