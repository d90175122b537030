"""Renew the certificate of what is applied: decide, obtain, prove, install, read back.

::

    quick look               nothing due, nothing new, the wire shows it: the end, without the lock
    lock
    look again -> Decision
    ask a CA                 when it is due: counted before, proven after (obtain.py)
    transaction              switched to, read again, the wire asked; undone on failure

A run that was killed leaves its journal, or a wire that shows another pair than the disk: the next
one goes on. Files that site.yaml names are an equal source: new ones are proven and installed,
whoever put them there. What is applied is what counts, not what site.yaml says by now.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass

from orchestrator import announce, apply, errors, observe, plan, renewal
from orchestrator.apply import back, check, look, obtain, transaction
from orchestrator.engines import ari, certbot, certificate
from orchestrator.host import attempts, journal, store
from orchestrator.render import trunks, wanted
from orchestrator.site import model


@dataclass(frozen=True, slots=True)
class Applied:
    """What serves on this machine.

    Attributes:
        stored: The generation.
        site: What it was rendered from.
    """

    stored: store.Stored
    site: model.Site


@dataclass(frozen=True, slots=True)
class Renewed:
    """What came of it.

    Attributes:
        decision: What was decided, and why; None for files.
        steps: What was done; empty when nothing was to do.
        warnings: What wants to be looked at.
    """

    decision: renewal.Decision | None
    steps: tuple[plan.Step, ...] = ()
    warnings: tuple[str, ...] = ()


def applied(machine: observe.Machine) -> Applied:
    """What was applied here.

    Raises:
        HostError: Nothing, or by an sbcctl that did not write down from what.
    """
    name = machine.store.current()
    if name is None:
        raise errors.HostError(
            "nothing is applied on this machine, so there is no certificate to look after",
            hint="sbcctl apply obtains the first one",
        )
    stored = back.load_whole(machine.store, name)
    site = look.read_origin(stored)
    if site is None:
        raise errors.HostError(
            "what is applied here does not say from which site.yaml it came",
            hint="sbcctl apply once more, with this version",
        )
    return Applied(stored, site)


def renew(
    machine: observe.Machine,
    progress: announce.Progress,
    *,
    lock_timeout: float,
    force: bool = False,
) -> Renewed:
    """Renew when it is time; run again, nothing happens.

    Raises:
        SiteError: The files that site.yaml names cannot serve.
        EngineRefused: It is due, and no CA may be asked now, or none gave one that can serve.
        ApplyError: It could not be installed; says what was restored.
    """
    found = applied(machine)
    machine = reading(machine, found.site)
    seen, decision = _look(machine, found.site, force=force)
    idle = decision is None or decision.do is renewal.Do.NOTHING
    if seen.offered is None and idle and not _half_done(machine, found, seen):
        return Renewed(decision, warnings=_late(found.site, seen))
    with machine.store.lock(timeout=lock_timeout, command="cert renew"):
        found = applied(machine)
        seen, decision = _look(machine, found.site, force=force)
        _check_unfinished(machine)
        idle = decision is None or decision.do is renewal.Do.NOTHING
        if decision is not None and not idle and (seen.offered is None or force):
            _ask(machine, progress, found.site, decision)
        steps, warnings = _install(machine, progress, found)
        return Renewed(decision, steps, warnings)


def rehearse(
    machine: observe.Machine, progress: announce.Progress, directory: str, *, lock_timeout: float
) -> str:
    """Try the whole way to a certificate at a CA for tests; its serial.

    Raises:
        UsageError: Certificates come from files here.
        EngineRefused: It does not lead to one that could serve.
    """
    found = applied(machine)
    if found.site.certificate.acme is None:
        raise errors.UsageError(
            "this site takes its certificate from files, so no CA can be tried",
            hint="sbcctl cert deploy --test proves the files",
        )
    with (
        machine.store.lock(timeout=lock_timeout, command="cert renew --staging"),
        progress.step("certificate", f"{found.site.teams.fqdn} (a test)") as step,
    ):
        serial = obtain.rehearse(machine, found.site, directory)
        step.note(directory)
    return serial


def reading(machine: observe.Machine, site: model.Site) -> observe.Machine:
    """The machine whose engines reach the files that a site names."""
    named = (*check.named_roots(site), *check.named_music(site))
    return dataclasses.replace(machine, read=tuple(path for path, _ in named))


def life_of(pair: plan.Pair | None) -> renewal.Life | None:
    """When a certificate is valid, for the decision."""
    if pair is None:
        return None
    return renewal.Life(pair.not_before, pair.not_after, f"{pair.serial:x}")


def _look(
    machine: observe.Machine, site: model.Site, *, force: bool
) -> tuple[plan.CertificateSeen, renewal.Decision | None]:
    """What there is, and what is to do; with files nobody is asked."""
    now = dt.datetime.now(dt.UTC)
    seen, _ = observe.see_certificate(machine, site, now, patient=True)
    if site.certificate.acme is None:
        return seen, None
    _hear(machine, site, now)
    decision = obtain.decide(
        machine,
        site,
        life_of(seen.installed),
        now,
        unfit="; ".join(seen.faults),
        force=force,
    )
    return seen, decision


def _hear(machine: observe.Machine, site: model.Site, now: dt.datetime) -> None:
    """Ask the CA for its window when it is time to; that it is silent stops nothing."""
    again = attempts.read(machine.state).ask_again
    name = machine.store.certificate()
    held = machine.store.read_certificate(name) if name else None
    if held is None or (again is not None and again > now):
        return
    assert site.certificate.acme is not None
    # The second CA's certificates have a window of the second CA.
    lineage = certbot.read_lineage(machine.state / "acme", site.teams.fqdn)
    directory = (lineage and lineage.directory) or site.certificate.acme.directory
    window, again = ari.ask(directory, held[0], trusted=trunks.DISTRIBUTION_ROOTS, now=now)
    attempts.hear(machine.state, window, again)


def _ask(
    machine: observe.Machine,
    progress: announce.Progress,
    site: model.Site,
    decision: renewal.Decision,
) -> None:
    with progress.step("certificate", f"{site.teams.fqdn} ({decision.why})") as step:
        obtain.obtain(machine, site, decision)
        step.note(decision.ca)


def _install(
    machine: observe.Machine, progress: announce.Progress, found: Applied
) -> tuple[tuple[plan.Step, ...], tuple[str, ...]]:
    """Switch to the pair that waits, as a change like any other."""
    facts = observe.engine_facts(machine)
    generation = found.stored.generation
    now = dt.datetime.now(dt.UTC)
    seen, offer = observe.see_certificate(machine, found.site, now, patient=True)
    observed = observe.observe(machine, generation, facts, seen)
    if not observed.kamailio.running:
        raise errors.EngineRefused(
            "Kamailio does not run, so nothing shows the new certificate; it lies ready",
            hint="sbcctl apply installs it and starts Kamailio",
        )
    todo = plan.make_plan(generation, observed)
    if not todo.steps:
        journal.clear(machine.state)
        return (), ()
    name = None
    if offer is not None:
        name = machine.store.install_certificate(offer.chain, offer.key, offer.own)
    goal = transaction.Goal("cert renew", generation, stored=True, certificate=name)
    served = transaction.before(machine, goal, observed)
    warnings = transaction.run(
        machine, progress, facts, goal=goal, todo=todo, observed=observed, served=served
    )
    return todo.steps, (*warnings, *seen.passed_over, *apply.clean_up(machine))


def _half_done(machine: observe.Machine, found: Applied, seen: plan.CertificateSeen) -> bool:
    """Whether a renewal died: its journal is there, or the wire shows another than the disk."""
    if journal.read(machine.state) is not None:
        return True
    address, port, name = wanted.teams_listener(found.stored.generation)
    try:
        served = certificate.served(address, port, name=name)
    except errors.EngineError:
        return False
    return seen.installed is not None and served.serial != seen.installed.serial


def _check_unfinished(machine: observe.Machine) -> None:
    """A change of the generation that died is not for cron to finish.

    Raises:
        EngineRefused: There was one.
    """
    dead = journal.read(machine.state)
    good = machine.store.last_known_good()
    if dead is not None and not dead.candidate == machine.store.current() == good:
        raise errors.EngineRefused(
            f"the change {dead.command!r} died in the middle, so nothing is built upon it",
            hint="sbcctl apply or sbcctl rollback first",
        )


def _late(site: model.Site, seen: plan.CertificateSeen) -> tuple[str, ...]:
    """Files that nobody has replaced yet, in the last third of their life, or not by what fits."""
    now, late = dt.datetime.now(dt.UTC), list(seen.passed_over)
    held = [(site.certificate.files, "the certificate", seen.installed)]
    own = dict(seen.own)
    held += [
        (each.files, f"the certificate of {each.fqdn}", own.get(each.fqdn))
        for each in site.full_trunks.values()
    ]
    for files, called, pair in held:
        life = life_of(pair)
        if files is not None and life is not None and renewal.due(life, None)[0] <= now:
            end = f"{life.end:%Y-%m-%d %H:%M}Z"
            late.append(f"{called} ends on {end}, and {files.chain} holds no newer one")
    return tuple(late)


def prove(site: model.Site, offer: observe.Offer) -> tuple[str, ...]:
    """Why a pair cannot serve what is applied; nothing means that it can."""
    return observe.find_faults(site, offer, dt.datetime.now(dt.UTC))


def serial_of(offer: observe.Offer) -> str:
    """The serial of a pair that was proven."""
    return f"{certificate.read_pair(offer.chain).serial:x}"
