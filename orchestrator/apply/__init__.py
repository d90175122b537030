"""Make this machine what site.yaml asks for; on failure put back what served before.

The order of things (DESIGN section 5)::

    facts, roots, secrets     read only; a failure here has touched nothing
    lock
    look -> plan              an empty plan ends here, nothing is written
                              (but the end of what an earlier run left unfinished)
    check sockets             addresses are here, ports are free
    certificate               obtained and proven, not yet in use
    stage, kamailio -c        written beside, accepted by the engine's own checker
    trial                     started for a moment in a network of its own (trial.py)
    drain                     when asked and a restart is coming: no new calls, wait (drain.py)
    look again -> plan        the world may have moved while a CA was asked; where data is only
                              read again nothing of that took place
    transaction               done whole, or undone (transaction.py)

What has been asked and read back stays; that old files cannot be removed, or that a carrier does
not take a registration, is a warning.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from orchestrator import announce, errors, observe, plan
from orchestrator.apply import check, drain, look, obtain, passwords, saved, transaction, trial
from orchestrator.engines import kamailio, kamailio_load, kamailio_uac
from orchestrator.host import access, cleaning, files, journal, store
from orchestrator.render import generation as generations
from orchestrator.render import views, wanted
from orchestrator.site import model

_REGISTERED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened.

    Attributes:
        generation: Name of the generation that serves now.
        steps: What was done, in order; empty when nothing was to do.
        warnings: What works but wants to be looked at, as sentences.
    """

    generation: str
    steps: tuple[plan.Step, ...]
    warnings: tuple[str, ...] = ()


def apply(
    site: model.Site,
    machine: observe.Machine,
    progress: announce.Progress,
    *,
    lock_timeout: float,
    allow_down: frozenset[str] = frozenset(),
    drain_seconds: float | None = None,
    promised: saved.Saved | None = None,
) -> Outcome:
    """Make the machine what *site* asks for.

    Args:
        site: What is wanted.
        machine: Where.
        progress: Who is told how far it is.
        lock_timeout: Seconds to wait for another sbcctl.
        allow_down: Parties that need not answer OPTIONS: trunks, or ``teams``.
        drain_seconds: How long to wait for calls to end before a restart; None: not at all.
        promised: A saved plan that this must be.

    Raises:
        SbcctlError: It is something else than *promised*; nothing was changed.
        SiteError: The site cannot run on these engines, or its certificate files do not fit.
        HostError: This machine lacks something; nothing in service was changed.
        EngineError: A check refused; nothing in service was changed.
        ApplyError: A step failed after the first change; says what was restored.
        HumanNeeded: And the way back failed as well.
    """
    facts = observe.engine_facts(machine)
    if problems := check.find_refusals(site, facts.kamailio):
        raise errors.SiteError(problems)
    check.check_roots(site, machine)
    check.check_music(site, machine)
    found = passwords.resolve(site, machine)
    observe.see_certificate(machine, site, _now())
    machine.store.prepare()
    with machine.store.lock(timeout=lock_timeout, command=f"apply {site.site}"):
        return _apply_locked(
            site,
            machine,
            progress,
            facts,
            found,
            allow_down=allow_down,
            drain_seconds=drain_seconds,
            promised=promised,
        )


def _apply_locked(
    site: model.Site,
    machine: observe.Machine,
    progress: announce.Progress,
    facts: views.EngineFacts,
    found: passwords.Passwords,
    *,
    allow_down: frozenset[str],
    drain_seconds: float | None,
    promised: saved.Saved | None,
) -> Outcome:
    generation = generations.render_site(
        site,
        facts=facts,
        paths=machine.paths,
        secrets=found.with_key(machine.store.contact_key()),
    )
    machine.store.put_right()
    make_run_directory(machine)
    seen, _ = observe.see_certificate(machine, site, _now())
    served = look.read_served(machine)
    observed = observe.observe(machine, generation, facts, seen, served)
    todo = plan.make_plan(generation, observed)
    goal = transaction.Goal(f"apply {site.site}", generation, allowed=allow_down)
    if promised is not None:
        saved.check(promised, facts, observed.committed[:12], goal.name, todo)
    if not todo.steps:
        machine.store.stage(generation, look.origin_of(site))
        machine.store.mark_good(goal.name)
        journal.clear(machine.state)
        return Outcome(generation=goal.name, steps=(), warnings=_certificate_warnings(seen))
    prepare_engines(machine, generation, todo)
    before = transaction.before(machine, goal, observed)
    new_certificate = _prepare_certificate(site, machine, progress, todo)
    _stage(machine, progress, generation, before, origin=look.origin_of(site), last=served)
    trial.try_start(machine, progress, todo, before, new_certificate)
    with drain.drained(machine, progress, todo, before, drain_seconds) as drained:
        if not (quick := todo.only_reads_again):
            observed, todo = _look_again(machine, site, facts, generation, observed.drifted)
            if promised is not None:
                _check_again(machine, promised, facts, before, (observed, todo))
        goal = dataclasses.replace(goal, certificate=new_certificate, stored=quick)
        warnings = transaction.run(
            machine,
            progress,
            facts,
            goal=goal,
            todo=todo,
            observed=observed,
            served=before,
            seen=served,
        )
    warnings = (
        *drained,
        *_certificate_warnings(observed.certificate),
        *_memory_warnings(machine, todo),
        *warnings,
    )
    warnings += clean_up(machine) + await_registrations(machine, progress, generation)
    return Outcome(generation=goal.name, steps=todo.steps, warnings=warnings)


def _look_again(
    machine: observe.Machine,
    site: model.Site,
    facts: views.EngineFacts,
    generation: generations.Generation,
    drifted: tuple[str, ...],
) -> tuple[plan.Observed, plan.Plan]:
    """Everything once more; staging may have put right some of what had drifted."""
    seen, _ = observe.see_certificate(machine, site, _now())
    observed = observe.observe(machine, generation, facts, seen)
    drifted = tuple(sorted({*drifted, *observed.drifted}))
    observed = dataclasses.replace(observed, drifted=drifted)
    return observed, plan.make_plan(generation, observed)


def _check_again(
    machine: observe.Machine,
    promised: saved.Saved,
    facts: views.EngineFacts,
    before: journal.Before,
    looked: tuple[plan.Observed, plan.Plan],
) -> None:
    """After the second look: is it still what was promised? Else what was staged goes."""
    observed, todo = looked
    promise = saved.once_obtained(promised)
    try:
        saved.check(promise, facts, observed.committed[:12], before.candidate, todo)
    except errors.SbcctlError:
        if before.staged:
            machine.store.discard(before.candidate)
        raise


def prepare_engines(
    machine: observe.Machine, generation: generations.Generation, todo: plan.Plan
) -> None:
    """End what an engine that died left behind, and make sure that the sockets can be bound."""
    for engine in ("kamailio", "rtpengine"):
        machine.supervisor.end_leftovers(engine)
    if not todo.only_reads_again:
        check.check_sockets(machine, generation)


def make_run_directory(machine: observe.Machine) -> None:
    """With the part in it that is Kamailio's own."""
    own = Path(machine.paths.kamailio_run)
    with files.translated(machine.run, "make the run directory"):
        files.make_folder(machine.run, access.of_run(machine.accounts))
        files.make_folder(own, access.of_kamailio_run(machine.accounts))


# -- before anything changes ----------------------------------------------------------------


def _prepare_certificate(
    site: model.Site, machine: observe.Machine, progress: announce.Progress, todo: plan.Plan
) -> str | None:
    """Get and prove the certificates and lay them beside; their name, or None without a new one.

    A tenant's first one that cannot be had ends the apply: nobody is taken in by halves.
    """
    kinds = todo.kinds
    if plan.Kind.OBTAIN_CERTIFICATE not in kinds and plan.Kind.INSTALL_CERTIFICATE not in kinds:
        return None
    asked = {each.subject for each in todo.steps if each.kind is plan.Kind.OBTAIN_CERTIFICATE}
    ours = None
    for order in obtain.orders(site):
        if order.tenant and order.own in asked:
            with progress.step("certificate", f"{order.fqdn} (ACME {order.acme.challenge})"):
                _obtain(machine, order)
        elif not order.tenant:
            ours = order
    fqdn = site.teams.fqdn
    how = f"ACME {ours.acme.challenge}" if ours else "from files"
    with progress.step("certificate", f"{fqdn} ({how})") as step:
        if ours is not None and ours.own in asked:
            _obtain(machine, ours)
        seen, offer = observe.see_certificate(machine, site, _now())
        if offer is None or seen.offered is None:
            raise errors.EngineRefused(
                f"the certificate for {fqdn} cannot be used",
                hint="see certificate in site.yaml",
            )
        left = seen.offered.not_after - _now()
        step.note(f"valid for {left.days} days" if left.days else f"valid for {left}")
        return machine.store.install_certificate(offer.chain, offer.key, offer.own)


def _obtain(machine: observe.Machine, order: obtain.Order) -> None:
    obtain.obtain(machine, order, obtain.decide(machine, order, None, _now()))


def _stage(
    machine: observe.Machine,
    progress: announce.Progress,
    generation: generations.Generation,
    before: journal.Before,
    *,
    origin: str,
    last: store.Stored | None,
) -> None:
    """Write the generation beside and let Kamailio check it; on refusal it is removed again."""
    with progress.step("stage", f"{len(generation.files)} files, kamailio -c") as step:
        # Also where it serves already: the engines start from what lies there now.
        name = machine.store.stage(generation, origin, last)
        if before.current == name:
            step.note("written before")
            return
        config = machine.state / "generations" / name / wanted.KAMAILIO_CONFIG
        try:
            kamailio.check_config(config, machine.root)
        except (errors.SbcctlError, KeyboardInterrupt):
            machine.store.discard(name)
            raise
        step.note(f"generation {name}")


# -- afterwards -----------------------------------------------------------------------------


def _certificate_warnings(seen: plan.CertificateSeen) -> tuple[str, ...]:
    """Say when the last third of the certificate's life has begun."""
    held = seen.offered or seen.installed
    if held is None:
        return ()
    left = held.not_after - _now()
    if left * 3 > held.not_after - held.not_before:
        return ()
    return (f"the certificate expires on {held.not_after:%Y-%m-%d %H:%M}Z; see sbcctl cert list",)


def _memory_warnings(machine: observe.Machine, todo: plan.Plan) -> tuple[str, ...]:
    """After a reload of TLS: whether the next ones could use up Kamailio's shared memory."""
    if plan.Kind.RELOAD_TLS not in todo.kinds:
        return ()
    try:
        warning = plan.memory_warning(kamailio_load.shared_memory(machine.rpc))
    except errors.EngineError:
        return ()
    return (warning,) if warning else ()


def clean_up(machine: observe.Machine) -> tuple[str, ...]:
    """Remove what is old; that it could not be removed is a warning, not a failure."""
    try:
        cleaning.prune_generations(machine.store)
        cleaning.prune_certificates(machine.store)
    except errors.HostError as failure:
        return (f"{failure.message} ({failure.hint})",)
    return ()


def await_registrations(
    machine: observe.Machine, progress: announce.Progress, generation: generations.Generation
) -> tuple[str, ...]:
    """Wait for carriers to take our registrations; one that does not is a warning."""
    count = len(wanted.registrations(generation))
    if not count:
        return ()
    with progress.step("verify", f"{count} registrations at carriers") as step:
        missing = kamailio_uac.wait(machine.rpc, seconds=_REGISTERED_SECONDS)
        step.note(f"{count - len(missing)} stand")
    return tuple(f"the carrier has not taken the registration of {name}" for name in missing)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
