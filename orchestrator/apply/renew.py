"""Renew the certificates of what is applied: decide, obtain, prove, install, read back.

::

    quick look               nothing due, nothing new, the wire shows it: the end, without the lock
    lock
    look again -> Decision   one for the site's own, one for each tenant's that comes by ACME
    ask CAs                  for those that are due: counted before, proven after (obtain.py)
    transaction              switched to, read again, the wire asked; undone on failure

A certificate that cannot be had keeps no other one from being renewed: what there is is
installed, then the run ends with what failed.

A run that was killed leaves its journal, or a wire that shows another pair than the disk: the next
one goes on. Files that site.yaml names are an equal source: new ones are proven and installed,
whoever put them there. What is applied is what counts, not what site.yaml says by now.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

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
        decision: What was decided about the site's own, and why; None for files.
        own: The same of each tenant's that comes by ACME, by its name at Microsoft.
        steps: What was done; empty when nothing was to do.
        warnings: What wants to be looked at.
    """

    decision: renewal.Decision | None
    own: tuple[tuple[str, renewal.Decision], ...] = ()
    steps: tuple[plan.Step, ...] = ()
    warnings: tuple[str, ...] = ()


Decided = tuple[tuple[obtain.Order, renewal.Decision], ...]
"""What is to do about each certificate that comes by ACME."""

_AT_ONCE = 8
"""CAs that are asked for their windows."""


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
    site = look.read_origin(machine, name)
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
    force: str | None = None,
) -> Renewed:
    """Renew what is due; run again, nothing happens.

    Args:
        machine: Where.
        progress: Who is told how far it is.
        lock_timeout: Seconds to wait for another sbcctl.
        force: The name of a certificate that is renewed although it is not due.

    Raises:
        UsageError: No certificate of that name comes by ACME.
        SiteError: The files that site.yaml names cannot serve.
        EngineRefused: It is due, and no CA may be asked now, or none gave one that can serve.
        ApplyError: It could not be installed; says what was restored.
    """
    found = applied(machine)
    machine = reading(machine, found.site)
    _check_forced(found.site, force)
    seen, decided = look_at(machine, found.site, force=force)
    due = _due(machine.state, seen, decided, force)
    if seen.offered is None and not due and not _half_done(machine, found, seen):
        return _renewed(decided, warnings=_late(found.site, seen))
    with machine.store.lock(timeout=lock_timeout, command="cert renew"):
        found = applied(machine)
        seen, decided = look_at(machine, found.site, force=force)
        _check_unfinished(machine)
        failed = []
        for order, decision in _due(machine.state, seen, decided, force):
            try:
                _ask(machine, progress, order, decision)
            except (errors.EngineError, errors.HostError) as failure:
                failed.append(failure)
        if failed and not _waits(machine, found.site):
            raise _joined(failed)
        steps, warnings = _install(machine, progress, found)
        if failed:
            raise _joined(failed)
        return _renewed(decided, steps, warnings)


def _check_forced(site: model.Site, force: str | None) -> None:
    there = [order.fqdn for order in obtain.orders(site)]
    # A site with files has nothing to force, and never had an error for it.
    if force is not None and force not in (*there, site.teams.fqdn):
        raise errors.UsageError(
            f"no certificate for {force} comes by ACME here",
            hint=f"there are {', '.join(there)}" if there else "all are out of files",
        )


def _renewed(
    decided: Decided, steps: tuple[plan.Step, ...] = (), warnings: tuple[str, ...] = ()
) -> Renewed:
    ours = next((decision for order, decision in decided if not order.tenant), None)
    own = tuple((order.fqdn, decision) for order, decision in decided if order.tenant)
    return Renewed(ours, own, steps, warnings)


def _due(state: Path, seen: plan.CertificateSeen, decided: Decided, force: str | None) -> Decided:
    """Whom to ask a CA for: not those of whom a new pair lies ready.

    Those that failed least often come first, so that who is down holds up nobody.
    """
    ready = set(seen.changed)
    if seen.offered not in (None, seen.installed):
        ready.add("")
    due = (
        (order, decision)
        for order, decision in decided
        if decision.do is not renewal.Do.NOTHING
        and (order.own not in ready or order.fqdn == force)
    )
    return tuple(sorted(due, key=lambda each: len(attempts.read(state, each[0].own).failed)))


def _waits(machine: observe.Machine, site: model.Site) -> bool:
    """Whether another pair lies ready to be installed."""
    seen, _ = observe.see_certificate(machine, site, dt.datetime.now(dt.UTC), patient=True)
    return seen.offered is not None


def _joined(failed: Sequence[errors.EngineError | errors.HostError]) -> errors.SbcctlError:
    """What several CAs said, as one error."""
    if len(failed) == 1:
        return failed[0]
    told = (
        "\n".join(filter(None, (each.message, getattr(each, "words", ""), f"hint: {each.hint}")))
        for each in failed
    )
    return errors.EngineRefused(
        f"{len(failed)} certificates could not be renewed",
        words="\n".join(told),
        hint="those that serve go on; sbcctl cert list says how long",
    )


def rehearse(
    machine: observe.Machine, progress: announce.Progress, directory: str, *, lock_timeout: float
) -> str:
    """Try the whole way to a certificate at a CA for tests; its serial.

    Raises:
        UsageError: Certificates come from files here.
        EngineRefused: It does not lead to one that could serve.
    """
    found = applied(machine)
    ours = next((order for order in obtain.orders(found.site) if not order.tenant), None)
    if ours is None:
        raise errors.UsageError(
            "this site takes its certificate from files, so no CA can be tried",
            hint="sbcctl cert deploy --test proves the files",
        )
    with (
        machine.store.lock(timeout=lock_timeout, command="cert renew --staging"),
        progress.step("certificate", f"{found.site.teams.fqdn} (a test)") as step,
    ):
        serial = obtain.rehearse(machine, ours, directory)
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


def look_at(
    machine: observe.Machine, site: model.Site, *, force: str | None = None
) -> tuple[plan.CertificateSeen, Decided]:
    """What there is, and what is to do; with files nobody is asked."""
    now = dt.datetime.now(dt.UTC)
    seen, _ = observe.see_certificate(machine, site, now, patient=True)
    orders = obtain.orders(site)
    _hear(machine, orders, now)
    lives = {"": life_of(seen.installed), **{name: life_of(pair) for name, pair in seen.own}}
    unfit = {"": "; ".join(seen.faults), **dict(seen.replaced)}
    decided = tuple(
        (
            order,
            obtain.decide(
                machine,
                order,
                lives.get(order.own),
                now,
                unfit=unfit.get(order.own, ""),
                force=order.fqdn == force,
            ),
        )
        for order in orders
    )
    return seen, decided


def _hear(machine: observe.Machine, orders: Sequence[obtain.Order], now: dt.datetime) -> None:
    """Ask CAs for their windows when it is time to; that one is silent stops nothing."""
    name = machine.store.certificate()
    held = machine.store.read_certificate(name) if name else None
    own = machine.store.own_certificates(name) if name else {}
    there = {"": held, **own}

    def ask(order: obtain.Order) -> None:
        pair, again = there.get(order.own), attempts.read(machine.state, order.own).ask_again
        if pair is None or (again is not None and again > now):
            return
        # The second CA's certificates have a window of the second CA.
        lineage = certbot.read_lineage(machine.state / "acme", order.fqdn)
        directory = (lineage and lineage.directory) or order.acme.directory
        window, again = ari.ask(directory, pair[0], trusted=trunks.DISTRIBUTION_ROOTS, now=now)
        attempts.hear(machine.state, window, again, order.own)

    with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(ask, orders))


def _ask(
    machine: observe.Machine,
    progress: announce.Progress,
    order: obtain.Order,
    decision: renewal.Decision,
) -> None:
    with progress.step("certificate", f"{order.fqdn} ({decision.why})") as step:
        obtain.obtain(machine, order, decision)
        step.note(decision.ca)


def _install(
    machine: observe.Machine, progress: announce.Progress, found: Applied
) -> tuple[tuple[plan.Step, ...], tuple[str, ...]]:
    """Switch to the pair that waits, as a change like any other."""
    facts = observe.engine_facts(machine)
    generation = found.stored.generation
    now = dt.datetime.now(dt.UTC)
    seen, offer = observe.see_certificate(machine, found.site, now, patient=True)
    # For whom there is still none no CA is asked once more here.
    seen = dataclasses.replace(seen, missing=())
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
    generation, own = found.stored.generation, dict(seen.own)
    shown = [(wanted.teams_listener(generation), seen.installed)]
    shown += [(each, own.get(each[2])) for each in wanted.own_listeners(generation)]
    return any(_differs(*listener, pair) for listener, pair in shown)


def _differs(address: str, port: int, name: str, installed: plan.Pair | None) -> bool:
    try:
        served = certificate.served(address, port, name=name)
    except errors.EngineError:
        return False
    return installed is not None and served.serial != installed.serial


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
