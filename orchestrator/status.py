"""How the site is doing now: observed once, judged purely.

What :func:`look` asks, it asks through ``observe`` and the engines; :func:`judge` takes what was
found and ``now``. Nothing is changed. Its rules:

1. DOWN: nothing is installed, or an engine does not run or does not answer.
2. DEGRADED: a party has no address that is reached; the certificate has ended, is not the one
   on the wire, or is in the last third of its life; Kamailio's shared memory fills up; something
   drifted from what was applied; a change died in the middle.
3. HEALTHY: none of these.

Drift is what a plan from the current generation to itself would have to do.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from orchestrator import errors, observe, plan, use
from orchestrator.engines import kamailio, kamailio_load
from orchestrator.host import history, journal, store
from orchestrator.render import generation as generations
from orchestrator.render import wanted


class Health(StrEnum):
    """The verdict."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Reached:
    """One address and whether Kamailio reaches it.

    Attributes:
        party: ``teams``, the name of the trunk, or that at Microsoft of a tenant with its own.
        uri: The address.
        condition: active, inactive, trying or disabled; unknown when Kamailio does not tell.
    """

    party: str
    uri: str
    condition: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found.

    Attributes:
        name: Name of the current generation; empty when there is none.
        fqdn: The SBC's name towards Teams.
        good: Whether the current generation was observed to work when it was applied.
        observed: Host and engines; None when nothing is installed.
        reached: Every address.
        memory: Kamailio's shared memory; None when it does not tell.
        refused: Since Kamailio started, how many calls were refused: whose, why and how many.
        used: How much of their limits customers and trunks use, the fullest first.
        drift: What a plan would have to put right.
        unfinished: A change that died in the middle, or None.
        last: The last change on record, or None.
    """

    name: str
    fqdn: str = ""
    good: bool = False
    observed: plan.Observed | None = None
    reached: tuple[Reached, ...] = ()
    memory: plan.Memory | None = None
    refused: tuple[tuple[str, str, int], ...] = ()
    used: tuple[use.Use, ...] = ()
    drift: tuple[plan.Step, ...] = ()
    unfinished: journal.Before | None = None
    last: history.Entry | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the site is doing, and why it is not healthy, the worst first."""

    health: Health
    reasons: tuple[str, ...] = ()


def look(machine: observe.Machine) -> Seen:
    """Ask host and engines once.

    Raises:
        HostError: The state directory cannot be read, or an engine is not installed.
    """
    name = machine.store.current()
    entries = history.read(machine.state)
    unfinished = journal.read(machine.state)
    last = entries[-1] if entries else None
    stored = machine.store.load(name) if name else None
    if name is None or stored is None:
        return Seen(name or "", unfinished=unfinished, last=last)
    if stored.missing:
        raise errors.HostError(
            f"generation {name} cannot be read: {', '.join(stored.missing)}",
            hint="apply the site again, or sbcctl rollback",
        )
    generation = stored.generation
    certificate = observe.see_installed_certificate(machine)
    facts = observe.engine_facts(machine)
    observed = observe.observe(machine, generation, facts, certificate)
    return Seen(
        name=name,
        fqdn=wanted.teams_listener(generation)[2],
        good=machine.store.last_known_good() == name,
        observed=observed,
        reached=_reached(machine, generation),
        memory=_memory(machine),
        refused=_refused(machine),
        used=_used(machine, generation),
        drift=_drift(stored, observed),
        unfinished=unfinished,
        last=last,
    )


def _drift(stored: store.Stored, observed: plan.Observed) -> tuple[plan.Step, ...]:
    """What a plan would put right.

    The generation on disk is the yardstick. Where a file of it was edited, what would follow from
    the edit is no drift of the engines: they run what was written.
    """
    steps = plan.make_plan(stored.generation, observed).steps
    if not stored.drifted:
        return steps
    edited = plan.Step(plan.Kind.COMMIT, f"changed by somebody else: {', '.join(stored.drifted)}")
    others = {plan.Kind.START_KAMAILIO, plan.Kind.START_RTPENGINE}
    rest = (
        step
        for step in steps
        if step.kind in others or (step.path and step.path not in stored.drifted)
    )
    return (edited, *rest)


def _reached(machine: observe.Machine, generation: generations.Generation) -> tuple[Reached, ...]:
    try:
        destinations = kamailio.destinations(machine.rpc)
    except errors.EngineError:
        destinations = ()
    held = {(each.set_id, each.uri): each.condition for each in destinations}
    return tuple(
        Reached(probe.party, probe.uri, held.get((probe.set_id, probe.uri), "unknown"))
        for probe in wanted.probes(generation)
    )


def _memory(machine: observe.Machine) -> plan.Memory | None:
    try:
        return kamailio_load.shared_memory(machine.rpc)
    except errors.EngineError:
        return None


def _refused(machine: observe.Machine) -> tuple[tuple[str, str, int], ...]:
    """What limits and rules about tenants refused; nothing where there are none, or no answer."""
    try:
        rows = kamailio.table_rows(machine.rpc, "refused") or {}
    except errors.EngineError:
        return ()
    told = ((*key.rpartition("/")[::2], int(count)) for key, count in sorted(rows.items()))
    return tuple((whose, why, count) for whose, why, count in told)


def _used(machine: observe.Machine, generation: generations.Generation) -> tuple[use.Use, ...]:
    try:
        return use.look(machine.rpc, generation)
    except errors.EngineError:
        return ()


def judge(seen: Seen, now: dt.datetime) -> Verdict:
    """Say how the site is doing at *now*."""
    if seen.observed is None:
        return Verdict(Health.DOWN, ("nothing is installed yet: sbcctl apply site.yaml",))
    down = _down(seen.observed)
    degraded = [*_unreached(seen), *_certificate(seen.observed, now), *_left(seen)]
    if fading := plan.memory_warning(seen.memory):
        degraded.append(fading)
    if not down:
        degraded += [f"drift: {step.kind}: {step.reason}" for step in seen.drift]
    health = Health.DOWN if down else Health.DEGRADED if degraded else Health.HEALTHY
    return Verdict(health, (*down, *degraded))


def _down(observed: plan.Observed) -> list[str]:
    engines = (("Kamailio", observed.kamailio), ("RTPEngine", observed.rtpengine))
    return [
        f"{name} {'does not answer' if seen.running else 'does not run'}: sbcctl apply starts it"
        for name, seen in engines
        if not seen.answering
    ]


def _unreached(seen: Seen) -> list[str]:
    """Parties of which Kamailio reaches no address."""
    usable = {each.party for each in seen.reached if each.condition != "inactive"}
    parties = dict.fromkeys(each.party for each in seen.reached)
    return [
        f"{party} does not answer OPTIONS at any of its addresses"
        for party in parties
        if party not in usable
    ]


def _certificate(observed: plan.Observed, now: dt.datetime) -> list[str]:
    held = observed.certificate.installed
    if held is None:
        return ["no certificate is installed"]
    answering, served = observed.kamailio.answering, observed.kamailio.served
    found = _of_one("the certificate", held, served if answering else None, now)
    shown = dict(observed.kamailio.served_own) if answering else {}
    for fqdn, own in observed.certificate.own:
        found += _of_one(f"the certificate of {fqdn}", own, shown.get(fqdn), now)
    return found


def _of_one(called: str, held: plan.Pair, served: int | None, now: dt.datetime) -> list[str]:
    if now >= held.not_after:
        return [f"{called} ended on {held.not_after:%Y-%m-%d %H:%M}Z: Teams refuses it"]
    found = []
    if (held.not_after - now) * 3 < held.not_after - held.not_before:
        days = (held.not_after - now).days
        found.append(f"{called} ends in {days} days ({held.not_after:%Y-%m-%d}); renew it")
    if served is not None and served != held.serial:
        another = called.replace("the", "another", 1)
        found.append(f"{another} is served (serial {served:x}) than the one on disk")
    return found


def _left(seen: Seen) -> list[str]:
    if seen.unfinished is None:
        return []
    who = f"{seen.unfinished.command} of {seen.unfinished.began}, process {seen.unfinished.pid},"
    return [f"{who} is under way or died: sbcctl apply ends it, sbcctl rollback undoes it"]
