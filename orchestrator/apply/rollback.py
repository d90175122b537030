"""Go back to a generation that lies on disk, as a change like any other: planned, done, read back.

What it was rendered from is not touched: site.yaml still asks for what it asks for, and ``plan``
says so.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

from orchestrator import announce, apply, errors, observe, plan, proof
from orchestrator.apply import back, drain, transaction, trial
from orchestrator.engines import certificate, kamailio
from orchestrator.host import history, journal
from orchestrator.render import generation as generations
from orchestrator.render import wanted


def rollback(
    machine: observe.Machine,
    progress: announce.Progress,
    name: str | None,
    *,
    lock_timeout: float,
    allow_down: frozenset[str] = frozenset(),
    drain_seconds: float | None = None,
) -> apply.Outcome:
    """Make an earlier generation serve again.

    Args:
        machine: Where.
        progress: Who is told how far it is.
        name: Its name or the beginning of it; None for the one that served before.
        lock_timeout: Seconds to wait for another sbcctl.
        allow_down: Parties that need not answer OPTIONS.
        drain_seconds: How long to wait for calls to end before a restart; None: not at all.

    Raises:
        UsageError: There is no such generation, or the name is the beginning of several.
        HostError: It is damaged, or no certificate on disk fits it; nothing was changed.
        EngineRefused: The engine does not take it any more; nothing was changed.
        ApplyError: A step failed; says what was restored.
    """
    facts = observe.engine_facts(machine)
    machine.store.prepare()
    with machine.store.lock(timeout=lock_timeout, command="rollback"):
        target = find_target(machine, name)
        stored = back.load_whole(machine.store, target)
        _check_parties(stored.generation, allow_down)
        machine = _reading(machine, stored.generation)
        machine.store.put_right()
        apply.make_run_directory(machine)
        seen, pair = _see_certificate(machine, stored.generation)
        observed = observe.observe(machine, stored.generation, facts, seen)
        todo = plan.make_plan(stored.generation, observed)
        if not todo.steps:
            machine.store.mark_good(target)
            journal.clear(machine.state)
            return apply.Outcome(generation=target, steps=())
        apply.prepare_engines(machine, stored.generation, todo)
        with progress.step("check", f"generation {target}, kamailio -c"):
            kamailio.check_config(_config(machine, target), machine.root)
        goal = transaction.Goal(
            f"rollback {target}",
            stored.generation,
            stored=True,
            certificate=pair,
            allowed=allow_down,
        )
        served = transaction.before(machine, goal, observed)
        trial.try_start(machine, progress, todo, served, pair)
        with drain.drained(machine, progress, todo, served, drain_seconds) as drained:
            observed = observe.observe(machine, stored.generation, facts, seen)
            todo = plan.make_plan(stored.generation, observed)
            done = transaction.run(
                machine, progress, facts, goal=goal, todo=todo, observed=observed, served=served
            )
        return apply.Outcome(generation=target, steps=todo.steps, warnings=(*drained, *done))


def find_target(machine: observe.Machine, name: str | None) -> str:
    """The whole name of the generation that is meant.

    Without a name: where a change died, what served before it; else the latest one that served
    before the current one and still lies on disk.

    Raises:
        UsageError: There is none, or the name is the beginning of several.
    """
    kept = machine.store
    there = tuple(each for each in kept.names() if kept.load(each) is not None)
    if name is not None:
        fitting = [each for each in there if each.startswith(name.lower())] if name else []
        if len(fitting) == 1:
            return fitting[0]
        what = f"{name} is the beginning of several" if fitting else f"there is no {name}"
        raise errors.UsageError(
            f"generation: {what}", hint="sbcctl history lists those that are there"
        )
    dead = journal.read(machine.state)
    if dead is not None and (dead.good or dead.current) in there:
        return str(dead.good or dead.current)
    served = [
        each.after for each in history.read(machine.state) if each.result != history.Result.FAILED
    ]
    for each in reversed(served):
        if each in there and each != kept.current():
            return each
    raise errors.UsageError(
        "no earlier generation is on record", hint="sbcctl history lists those that are there"
    )


def _check_parties(target: generations.Generation, names: frozenset[str]) -> None:
    """Make sure that who may be down is somebody: else it is a typing mistake."""
    known = {probe.party for probe in wanted.probes(target)}
    if unknown := sorted(names - known):
        raise errors.UsageError(
            f"--allow-down: there is no trunk {unknown[0]} in that generation",
            hint=f"there are {', '.join(sorted(known))}",
        )


def _reading(machine: observe.Machine, target: generations.Generation) -> observe.Machine:
    """The machine whose engines reach what this generation and the one before it read."""
    name = machine.store.current()
    served = machine.store.load(name) if name else None
    read = wanted.outside_files(target)
    if served is not None and not served.missing:
        read += wanted.outside_files(served.generation)
    return dataclasses.replace(machine, read=tuple(dict.fromkeys(read)))


def _config(machine: observe.Machine, name: str) -> Path:
    return machine.state / "generations" / name / wanted.KAMAILIO_CONFIG


def _see_certificate(
    machine: observe.Machine, generation: generations.Generation
) -> tuple[plan.CertificateSeen, str | None]:
    """The certificate in use where it fits the generation; else another on disk that does.

    Raises:
        HostError: None fits.
    """
    _, _, fqdn = wanted.teams_listener(generation)
    own = [name for *_, name in wanted.own_listeners(generation)]
    used = machine.store.certificate()
    now = dt.datetime.now(dt.UTC)
    faults: tuple[str, ...] = ("there is none",)
    for name in sorted(machine.store.certificates(), key=lambda each: each != used):
        held = machine.store.read_certificate(name)
        if held is None:
            continue
        beside = machine.store.own_certificates(name)
        found = proof.find_faults(*held, names=(fqdn,), now=now)
        found += tuple(f"there is none for {each}" for each in own if each not in beside)
        if name == used:
            faults = found
        if found:
            continue
        pair = certificate.read_pair(held[0])
        if name == used:
            return observe.see_installed_certificate(machine), None
        seen = observe.see_installed_certificate(machine)
        return dataclasses.replace(seen, offered=pair), name
    raise errors.HostError(
        f"no certificate on disk fits that generation ({fqdn}): {'; '.join(faults)}",
        hint="apply the site.yaml it came from; that obtains one",
    )
