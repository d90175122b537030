"""From the first rename to the mark: done whole, or undone.

::

    journal                what serves now, for whoever comes after us
    carry out              links renamed, engines reloaded or restarted
    read back              engines and the wire say what they hold now
    ask around             who is new, changed, or answered before, answers (verify)
    mark last known good
    journal away

Any failure in between, Ctrl-C and faults of sbcctl included, leads back to what served before,
which is read back as well; a first change that fails stops what it started. A run that is killed
leaves the journal, and the next one takes its place: its way back leads to where the dead one
would have gone. What came of it is written to the history.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from orchestrator import announce, errors, observe, plan
from orchestrator.apply import back, change, verify
from orchestrator.host import history, journal, store
from orchestrator.render import generation as generations
from orchestrator.render import views


@dataclass(frozen=True, slots=True)
class Goal:
    """What shall serve.

    Attributes:
        command: Who wants it, for journal and history: ``apply fra1``.
        generation: The files.
        stored: Whether they lie on disk as they are, from an earlier apply or since a moment ago.
        certificate: Name of the certificate to switch to; None to keep the one in use.
        allowed: Parties that may be silent (``--allow-down``).
    """

    command: str
    generation: generations.Generation
    stored: bool = False
    certificate: str | None = None
    allowed: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name of the generation."""
        return self.generation.digest[:12]


def now_text() -> str:
    """Now, UTC, as journal and history write it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def before(machine: observe.Machine, goal: Goal, observed: plan.Observed) -> journal.Before:
    """What serves before the change; where an earlier one died, what served before that."""
    kept = machine.store
    names = set(kept.names())
    found = journal.Before(
        command=goal.command,
        pid=os.getpid(),
        began=now_text(),
        candidate=goal.name,
        staged=goal.name not in names,
        current=kept.current(),
        good=kept.last_known_good(),
        certificate=kept.certificate(),
        kamailio=observed.kamailio.running,
        rtpengine=observed.rtpengine.running,
    )
    dead = journal.read(machine.state)
    # Where the dead one had its candidate marked good already, only its journal is left over.
    if dead is None or dead.good != dead.candidate == found.good:
        return found
    return dataclasses.replace(
        dead,
        command=goal.command,
        pid=found.pid,
        began=found.began,
        candidate=goal.name,
        staged=found.staged,
    )


def run(
    machine: observe.Machine,
    progress: announce.Progress,
    facts: views.EngineFacts,
    *,
    goal: Goal,
    todo: plan.Plan,
    observed: plan.Observed,
    served: journal.Before,
    seen: store.Stored | None = None,
) -> tuple[str, ...]:
    """Carry out *todo* so that *goal* serves; *seen* is what may have been read of *served*.

    Returns:
        What works but wants to be looked at, as sentences.

    Raises:
        HostError: The journal cannot be written; nothing in service was changed.
        ApplyError: A step failed; says what was restored.
        HumanNeeded: And the way back failed as well.
    """
    old = _old(machine, served, seen)
    with _recorded(machine, goal, todo, served) as notes:
        with _discarded_on_failure(machine, served):
            asked = old.generation if old and not verify.concerns_nobody(todo) else None
            answers = verify.teams_answers(machine, asked)
            journal.write(machine.state, served)
        try:
            doing = change.Change(
                machine,
                progress,
                goal.generation,
                goal.certificate,
                rows=observed.kamailio.rows,
                before=old.generation if old else None,
                name=goal.name if goal.stored else None,
            )
            doing.carry_out(todo)
            doing.read_back()
            questions = verify.find_questions(
                old.generation if old else None, goal.generation, todo, teams_answered=answers
            )
            silent = verify.verify(machine, progress, goal.generation, questions, goal.allowed)
            machine.store.mark_good(goal.name)
        # The one handler in here that is broad: the engines are between two generations,
        # whatever it was that failed. It restores and lets the failure go on.
        except BaseException as failure:
            back.go_back(machine, progress, facts, served, failure)
            raise
        notes.extend(silent)
        try:
            journal.clear(machine.state)
        except errors.HostError as failure:
            notes.append(failure.message)
    return tuple(notes)


def _old(
    machine: observe.Machine, served: journal.Before, seen: store.Stored | None
) -> store.Stored | None:
    """What served before; read again where it is not what was seen, or was put right since."""
    if seen is not None and seen.name == served.current and not seen.drifted:
        return seen
    return machine.store.load(served.current) if served.current else None


@contextmanager
def _discarded_on_failure(machine: observe.Machine, served: journal.Before) -> Iterator[None]:
    """What was staged for nothing goes; nothing in service was touched yet."""
    try:
        yield
    except BaseException:
        if served.staged:
            machine.store.discard(served.candidate)
        raise


@contextmanager
def _recorded(
    machine: observe.Machine, goal: Goal, todo: plan.Plan, served: journal.Before
) -> Iterator[list[str]]:
    """Write to the history what came of it; that it cannot be written is told and no failure."""
    began = time.monotonic()
    notes: list[str] = []

    def entry(result: history.Result, message: str = "") -> history.Entry:
        return history.Entry(
            time=now_text(),
            command=goal.command,
            by=history.who(machine.env),
            result=result,
            before=served.good or served.current or "",
            after=machine.store.current() or "",
            steps=tuple(map(str, todo.kinds)),
            seconds=round(time.monotonic() - began, 2),
            message=message,
        )

    try:
        yield notes
    except BaseException as failure:
        worst = isinstance(failure, errors.HumanNeeded)
        result = history.Result.FAILED if worst else history.Result.RESTORED
        with suppress(errors.HostError):
            history.add(machine.state, entry(result, back.sentence(failure)))
        raise
    try:
        history.add(machine.state, entry(history.Result.APPLIED))
    except errors.HostError as failure:
        notes.append(failure.message)
