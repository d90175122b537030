"""Make this machine what site.yaml asks for; on failure put back what served before.

The order of things (DESIGN section 5)::

    facts, secrets, files     read only; a failure here has touched nothing
    lock
    look -> plan              an empty plan ends here, nothing is written
    check sockets             addresses are here, ports are free
    certificate               obtained and proven, not yet in use
    stage, kamailio -c        written beside, accepted by the engine's own checker
    look again -> plan        the world may have moved while a CA was asked
    carry out                 links renamed, engines reloaded or restarted
    read back                 engines and the wire say what they hold now
    mark last known good

From the first rename on a failure, Ctrl-C included, leads back to the last known good
generation, which is read back as well; a first apply that fails stops what it started.
"""

from __future__ import annotations

import datetime as dt
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from orchestrator import errors, observe, plan
from orchestrator.engines import certbot, certificate, kamailio
from orchestrator.host import notes, secrets
from orchestrator.render import generation as generations
from orchestrator.render import views
from orchestrator.site import model

_READY_SECONDS = 20.0
_SERVED_SECONDS = 3.0
_POLL = 0.05
_OPTIONS_BUDGET = 20.0


class Noting(Protocol):
    """A step that is running."""

    def note(self, text: str) -> None:
        """Say what came of it."""
        ...


class Progress(Protocol):
    """Who is told how far it is: ``console.Console`` fits."""

    def step(self, name: str, text: str) -> AbstractContextManager[Noting]:
        """Show one step while the block runs."""
        ...


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


@dataclass(frozen=True, slots=True)
class _Before:
    """What served when we began: the way back leads there."""

    current: str | None
    certificate: str | None
    kamailio: bool
    rtpengine: bool


def apply(
    site: model.Site, machine: observe.Machine, progress: Progress, *, lock_timeout: float
) -> Outcome:
    """Make the machine what *site* asks for.

    Raises:
        SiteError: The site cannot run on these engines, or its certificate files do not fit.
        HostError: This machine lacks something; nothing in service was changed.
        EngineError: A check refused; nothing in service was changed.
        ApplyError: A step failed after the first change; says what was restored.
        HumanNeeded: And the way back failed as well.
    """
    facts = observe.engine_facts(machine)
    if problems := plan.find_refusals(site, facts.kamailio):
        raise errors.SiteError(problems)
    phones = _phone_passwords(site, machine)
    observe.see_certificate(machine, site, _now())
    machine.store.prepare()
    with machine.store.lock(timeout=lock_timeout, command=f"apply {site.site}"):
        return _apply_locked(site, machine, progress, facts, phones)


def _apply_locked(
    site: model.Site,
    machine: observe.Machine,
    progress: Progress,
    facts: views.EngineFacts,
    phones: dict[str, str],
) -> Outcome:
    wanted = generations.render_site(
        site,
        facts=facts,
        paths=machine.paths,
        secrets=views.Secrets(contact_key=machine.store.contact_key(), phones=phones),
    )
    name = wanted.digest[:12]
    seen, _ = observe.see_certificate(machine, site, _now())
    observed = observe.observe(machine, wanted, facts, seen)
    todo = plan.make_plan(wanted, observed)
    if not todo.steps:
        machine.store.mark_good(name)
        return Outcome(generation=name, steps=(), warnings=_certificate_warnings(seen))
    _make_run_directory(machine)
    observe.check_sockets(machine, wanted)
    before = _Before(
        current=machine.store.current(),
        certificate=machine.store.certificate(),
        kamailio=observed.kamailio.running,
        rtpengine=observed.rtpengine.running,
    )
    new_certificate = _prepare_certificate(site, machine, progress, todo)
    _stage(machine, progress, wanted, before)
    seen, _ = observe.see_certificate(machine, site, _now())
    todo = plan.make_plan(wanted, observe.observe(machine, wanted, facts, seen))
    change = _Change(machine, progress, wanted, new_certificate)
    try:
        change.carry_out(todo)
        change.read_back()
    except (errors.SbcctlError, KeyboardInterrupt) as failure:
        _go_back(machine, progress, facts, before, name, failure)
        raise
    machine.store.mark_good(name)
    machine.store.prune()
    warnings = (*_certificate_warnings(seen), *_ask_around(machine, progress, wanted))
    return Outcome(generation=name, steps=todo.steps, warnings=warnings)


def _phone_passwords(site: model.Site, machine: observe.Machine) -> dict[str, str]:
    users = site.phones.users if site.phones else {}
    return {
        user: secrets.resolve(
            phone.password, what=f"phones.users.{user}.password", env=machine.env
        )
        for user, phone in users.items()
    }


def _make_run_directory(machine: observe.Machine) -> None:
    try:
        machine.run.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise errors.HostError(
            f"cannot make the run directory {machine.run}: {error.strerror}",
            hint="run sbcctl as root, or name another one with --run-dir",
        ) from error


# -- before anything changes ----------------------------------------------------------------


def _prepare_certificate(
    site: model.Site, machine: observe.Machine, progress: Progress, todo: plan.Plan
) -> str | None:
    """Get and prove the certificate and lay it beside; its name, or None without a new one."""
    kinds = todo.kinds
    if plan.Kind.OBTAIN_CERTIFICATE not in kinds and plan.Kind.INSTALL_CERTIFICATE not in kinds:
        return None
    fqdn = site.teams.fqdn
    acme = site.certificate.acme
    how = "ACME http-01" if acme else "from files"
    with progress.step("certificate", f"{fqdn} ({how})") as step:
        if acme is not None and plan.Kind.OBTAIN_CERTIFICATE in kinds:
            certbot.obtain(machine.state / "acme", fqdn, acme)
        seen, offer = observe.see_certificate(machine, site, _now())
        if offer is None or seen.offered is None:
            raise _unfit_certificate(site, machine)
        left = seen.offered.not_after - _now()
        step.note(f"valid for {left.days} days" if left.days else f"valid for {left}")
        return machine.store.install_certificate(offer.chain, offer.key)


def _unfit_certificate(site: model.Site, machine: observe.Machine) -> errors.EngineRefused:
    """The CA gave a certificate, but not one that can serve."""
    lineage = certbot.read_lineage(machine.state / "acme", site.teams.fqdn)
    faults = (
        certificate.find_faults(lineage.chain, lineage.key, name=site.teams.fqdn, now=_now())
        if lineage
        else ()
    )
    return errors.EngineRefused(
        f"the certificate for {site.teams.fqdn} cannot be used",
        words="\n".join(faults),
        hint="see certificate.acme.directory in site.yaml: is this the right CA?",
    )


def _stage(
    machine: observe.Machine,
    progress: Progress,
    wanted: generations.Generation,
    before: _Before,
) -> None:
    """Write the generation beside and let Kamailio check it; on refusal it is removed again."""
    with progress.step("stage", f"{len(wanted.files)} files, kamailio -c") as step:
        if before.current == wanted.digest[:12]:
            step.note("written before")
            return
        name = machine.store.stage(wanted)
        config = machine.state / "generations" / name / plan.KAMAILIO_CONFIG
        try:
            kamailio.check_config(config, machine.root)
        except (errors.SbcctlError, KeyboardInterrupt):
            machine.store.discard(name)
            raise
        step.note(f"generation {name}")


# -- the change -----------------------------------------------------------------------------


class _Change:
    """Carries out the steps of one plan towards one generation."""

    def __init__(
        self,
        machine: observe.Machine,
        progress: Progress,
        wanted: generations.Generation,
        new_certificate: str | None,
    ) -> None:
        self._machine = machine
        self._progress = progress
        self._wanted = wanted
        self._new_certificate = new_certificate

    def carry_out(self, todo: plan.Plan) -> None:
        """Do every step in order; the first that fails raises."""
        doing: dict[plan.Kind, Callable[[plan.Step], None]] = {
            plan.Kind.INSTALL_CERTIFICATE: self._switch_certificate,
            plan.Kind.COMMIT: self._commit,
            plan.Kind.INSTALL_UNITS: self._install_units,
            plan.Kind.START_RTPENGINE: self._start_rtpengine,
            plan.Kind.RESTART_RTPENGINE: self._start_rtpengine,
            plan.Kind.START_KAMAILIO: self._start_kamailio,
            plan.Kind.RESTART_KAMAILIO: self._start_kamailio,
            plan.Kind.RELOAD_TLS: self._reload,
            plan.Kind.RELOAD_ADDRESSES: self._reload,
            plan.Kind.RELOAD_TABLE: self._reload,
            plan.Kind.RELOAD_DISPATCHER: self._reload,
        }
        for step in todo.steps:
            if step.kind not in doing:
                raise errors.SbcctlError(
                    f"the step {step.kind} came up in the middle of an apply",
                    hint="the certificate changed meanwhile; apply again",
                )
            what = " ".join(filter(None, (str(step.kind), step.subject)))
            with self._progress.step("activate", what) as shown:
                doing[step.kind](step)
                shown.note("; ".join(filter(None, (step.reason, step.cost))))

    def read_back(self) -> None:
        """Ask engines and wire what they hold; a difference is a failure."""
        with self._progress.step("verify", "engines hold what was written") as step:
            differences = observe.find_differences(self._machine, self._wanted)
            if differences:
                raise errors.EngineRefused(
                    "the engines do not hold what was written",
                    words="\n".join(differences),
                    hint="see DNS on this machine when a name is missing, else the engines' logs",
                )
            step.note(f"{len(plan.wanted_destinations(self._wanted))} destinations")
        with self._progress.step("verify", "served certificate is the one on disk") as step:
            step.note(f"serial {self._served_serial():x}")

    def _served_serial(self) -> int:
        installed = observe.see_installed_certificate(self._machine).installed
        address, port, name = plan.teams_listener(self._wanted)
        end = time.monotonic() + _SERVED_SECONDS
        while True:
            try:
                served = certificate.served(address, port, name=name)
                if installed is not None and served.serial == installed.serial:
                    return served.serial
                failure = errors.EngineRefused(
                    f"{address}:{port} serves another certificate than the one on disk",
                    words=f"served: serial {served.serial:x}, valid until {served.not_after}",
                    hint="see Kamailio's log for why it did not take the new one",
                )
            except errors.EngineSilent as silent:
                failure = errors.EngineRefused(silent.message, hint=silent.hint)
            if time.monotonic() > end:
                raise failure
            time.sleep(_POLL)

    def _switch_certificate(self, step: plan.Step) -> None:
        del step
        assert self._new_certificate is not None
        self._machine.store.commit_certificate(self._new_certificate)

    def _commit(self, step: plan.Step) -> None:
        del step
        # Staging what is staged already writes only what somebody else changed since.
        self._machine.store.commit(self._machine.store.stage(self._wanted))

    def _install_units(self, step: plan.Step) -> None:
        del step
        paths = (plan.KAMAILIO_UNIT, plan.RTPENGINE_UNIT)
        self._machine.supervisor.install_units(
            tuple((path, self._wanted.file(path).text) for path in paths)
        )

    def _start_rtpengine(self, step: plan.Step) -> None:
        del step
        watch = self._machine.supervisor
        watch.stop("rtpengine")
        watch.start(
            "rtpengine",
            plan.start_command(self._wanted, plan.RTPENGINE_UNIT),
            self._wanted.file(plan.RTPENGINE_CONFIG).digest,
        )
        end = time.monotonic() + _READY_SECONDS
        while True:
            watch.check_alive("rtpengine")
            try:
                self._machine.media.ping()
            except errors.EngineSilent:
                if time.monotonic() > end:
                    raise
            else:
                return
            time.sleep(_POLL)

    def _start_kamailio(self, step: plan.Step) -> None:
        del step
        watch = self._machine.supervisor
        watch.stop("kamailio")
        notes.write_loaded(self._machine.run, ())
        watch.start(
            "kamailio",
            plan.start_command(self._wanted, plan.KAMAILIO_UNIT),
            self._wanted.skeleton,
        )
        kamailio.wait_ready(
            self._machine.rpc,
            plan.wanted_sockets(self._wanted),
            seconds=_READY_SECONDS,
            check_alive=lambda: watch.check_alive("kamailio"),
        )
        files = plan.data_files(self._wanted)
        notes.write_loaded(self._machine.run, ((file.path, file.digest) for file in files))

    def _reload(self, step: plan.Step) -> None:
        rpc = self._machine.rpc
        loaded = dict(notes.read_loaded(self._machine.run))
        loaded.pop(step.path, None)
        notes.write_loaded(self._machine.run, loaded.items())
        if step.kind is plan.Kind.RELOAD_TABLE:
            kamailio.reload_table(rpc, step.subject)
        elif step.kind is plan.Kind.RELOAD_ADDRESSES:
            kamailio.reload_addresses(rpc)
        elif step.kind is plan.Kind.RELOAD_DISPATCHER:
            kamailio.reload_dispatcher(rpc)
        else:
            kamailio.reload_tls(rpc)
        loaded[step.path] = self._wanted.file(step.path).digest
        notes.write_loaded(self._machine.run, loaded.items())


# -- the way back ---------------------------------------------------------------------------


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Nothing interrupts the way back; signals that came meanwhile arrive at its end."""
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    old = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def _go_back(
    machine: observe.Machine,
    progress: Progress,
    facts: views.EngineFacts,
    before: _Before,
    failed: str,
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
                machine.store.discard(failed)
                step.note(restored)
        except errors.SbcctlError as worse:
            raise errors.HumanNeeded(
                f"{said}; and the way back failed: {_sentence(worse)}",
                hint="see the engines' logs below the state directory; calls may be affected",
            ) from failure
    if not isinstance(failure, KeyboardInterrupt):
        raise errors.ApplyError(f"{said}. {restored}", hint=failure.hint) from failure


def _restore(
    machine: observe.Machine, progress: Progress, facts: views.EngineFacts, before: _Before
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
    machine.store.commit(target)
    seen = observe.see_installed_certificate(machine)
    observed = observe.observe(machine, stored.generation, facts, seen)
    change = _Change(machine, progress, stored.generation, None)
    change.carry_out(plan.make_plan(stored.generation, observed))
    change.read_back()
    return f"Generation {target} was restored, read back and serves"


def _sentence(failure: BaseException) -> str:
    """The message of a failure with the engine's own words, on one line."""
    if isinstance(failure, KeyboardInterrupt):
        return "interrupted"
    said = failure.message if isinstance(failure, errors.SbcctlError) else str(failure)
    if isinstance(failure, errors.EngineRefused) and failure.words:
        said += ": " + "; ".join(failure.words.splitlines())
    return said


# -- afterwards -----------------------------------------------------------------------------


def _certificate_warnings(seen: plan.CertificateSeen) -> tuple[str, ...]:
    """Say when the last third of the certificate's life has begun."""
    held = seen.offered or seen.installed
    if held is None:
        return ()
    left = held.not_after - _now()
    if left * 3 > held.not_after - held.not_before:
        return ()
    return (f"the certificate expires on {held.not_after:%Y-%m-%d %H:%M}Z; renew it",)


def _ask_around(
    machine: observe.Machine, progress: Progress, wanted: generations.Generation
) -> tuple[str, ...]:
    """Send OPTIONS to every destination; silence is a warning, not a failure."""
    warnings = []
    end = time.monotonic() + _OPTIONS_BUDGET
    for line in plan.probes(wanted):
        with progress.step("verify", f"OPTIONS to {line.uri}") as step:
            if time.monotonic() > end:
                step.note("not asked, no time left")
                continue
            try:
                code = kamailio.send_options(
                    machine.rpc,
                    line.uri,
                    identity=line.identity,
                    socket=line.socket,
                    timer=plan.answer_seconds(wanted),
                )
            except errors.EngineError as silent:
                code = None
                warnings.append(silent.message)
            step.note(f"answered {code}" if code else "no answer")
            if code is None:
                warnings.append(f"{line.uri} did not answer OPTIONS")
    return tuple(warnings)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
