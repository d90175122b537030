"""Carry out the steps of a plan, and read back from engines and wire what they hold now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from orchestrator import announce, errors, observe, plan
from orchestrator.engines import (
    certificate,
    kamailio,
    kamailio_load,
    kamailio_tables,
    kamailio_tls,
    kamailio_uac,
)
from orchestrator.host import manifest, notes
from orchestrator.render import generation as generations
from orchestrator.render import tables, wanted

_READY_SECONDS = 20.0
_SERVED_SECONDS = 2.0
_LOADED_SECONDS = 2.0
_SEEN_SECONDS = 5.0
_POLL = 0.05
_MOST_LINES = 1000
"""Of a large table that are changed one by one; a reload of ten thousand takes half a second."""


class Change:
    """Carries out the steps of one plan towards one generation.

    Args:
        machine: What is changed.
        progress: Who is told how far it is.
        generation: What the engines shall run.
        new_certificate: Name of the certificate to switch to, if any.
        rows: How many rows each table of Kamailio's was seen to have, a moment ago.
        before: What served before, read a moment ago; the tables that Kamailio has read are its.
        name: Name of a generation on disk that is committed as it lies there; without one
            *generation* is staged, which puts right what somebody else changed since.
    """

    def __init__(
        self,
        machine: observe.Machine,
        progress: announce.Progress,
        generation: generations.Generation,
        new_certificate: str | None,
        *,
        rows: Iterable[tuple[str, int]] = (),
        before: generations.Generation | None = None,
        name: str | None = None,
    ) -> None:
        self._machine = machine
        self._progress = progress
        self._generation = generation
        self._new_certificate = new_certificate
        self._name = name
        self._generations = machine.state / "generations"
        self._rows = dict(rows)
        self._before = before
        self._read_again: set[str] = set()
        self._started = False
        self._last: list[Callable[[], None]] = []

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
            plan.Kind.RELOAD_REGISTRATIONS: self._reload,
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
        while self._last:
            self._last.pop()()

    def read_back(self) -> None:
        """Ask engines and wire what they hold; a difference is a failure.

        What was neither read again nor started anew was looked at before, under the same lock.
        """
        only = None if self._started else frozenset(self._read_again)
        with self._progress.step("verify", "engines hold what was written") as step:
            if found := observe.read_back(self._machine, self._generation, only):
                raise errors.EngineRefused(
                    "the engines do not hold what was written",
                    words="\n".join(found),
                    hint="see DNS on this machine when a name is missing, else the engines' logs",
                )
            step.note(f"{len(wanted.destinations(self._generation))} destinations")
        with self._progress.step("verify", "served certificate is the one on disk") as step:
            step.note(f"serial {self._check_served():x}")

    def _check_served(self) -> int:
        """Make sure that each listener for Teams shows its certificate; the serial of ours."""
        seen = observe.see_installed_certificate(self._machine)
        own = dict(seen.own)
        for listener in wanted.own_listeners(self._generation):
            self._served_serial(*listener, own.get(listener[2]))
        return self._served_serial(*wanted.teams_listener(self._generation), seen.installed)

    def _served_serial(
        self, address: str, port: int, name: str, installed: plan.Pair | None
    ) -> int:
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
        store = self._machine.store
        store.commit(self._name or store.stage(self._generation))

    def _install_units(self, step: plan.Step) -> None:
        del step
        paths = (wanted.KAMAILIO_UNIT, wanted.RTPENGINE_UNIT)
        self._machine.supervisor.install_units(
            tuple((path, self._generation.file(path).text) for path in paths)
        )

    def _start_rtpengine(self, step: plan.Step) -> None:
        del step
        self._started = True
        watch = self._machine.supervisor
        watch.stop("rtpengine")
        watch.start(
            "rtpengine",
            wanted.start_command(self._generation, wanted.RTPENGINE_UNIT),
            self._generation.file(wanted.RTPENGINE_CONFIG).digest,
        )
        end = time.monotonic() + _READY_SECONDS
        while True:
            watch.check_alive("rtpengine")
            try:
                self._machine.media.ping(patience=_POLL)
            except errors.EngineSilent:
                if time.monotonic() > end:
                    raise
            else:
                break
        self._await_media()

    def _await_media(self) -> None:
        """Let a running Kamailio find RTPEngine again: until then it refuses calls by 503."""
        end = time.monotonic() + _SEEN_SECONDS
        # What it does not say keeps nobody from going on: the read-back is what decides.
        with suppress(errors.EngineError):
            while time.monotonic() < end and not kamailio_load.sees_media(self._machine.rpc):
                time.sleep(_POLL)

    def _take_back_registrations(self) -> None:
        """Tell carriers which of our registrations end with this generation."""
        kept = wanted.registrations(self._generation)
        loaded = dict(notes.read_loaded(self._machine.run))
        if loaded and wanted.REGISTRATIONS not in loaded and not kept:
            return  # it has none, and would log the question as an error
        stand = [each for each in kamailio_uac.held(self._machine.rpc) if each.stands]
        kamailio_uac.take_back(
            self._machine.rpc, [each.name for each in stand if each.row not in kept]
        )

    def _start_kamailio(self, step: plan.Step) -> None:
        del step
        self._started = True
        watch = self._machine.supervisor
        if watch.status("kamailio").running:
            # One that does not answer keeps nobody from being restarted.
            with suppress(errors.EngineError):
                self._take_back_registrations()
        watch.stop("kamailio")
        notes.write_loaded(self._machine.run, ())
        watch.start(
            "kamailio",
            wanted.start_command(self._generation, wanted.KAMAILIO_UNIT),
            self._generation.skeleton,
        )
        kamailio.wait_ready(
            self._machine.rpc,
            wanted.sockets(self._generation),
            seconds=_READY_SECONDS,
            check_alive=lambda: watch.check_alive("kamailio"),
        )
        count = len(wanted.registrations(self._generation))
        if count:
            kamailio_uac.wait_loaded(self._machine.rpc, count, seconds=_LOADED_SECONDS)
        files = wanted.data_files(self._generation)
        notes.write_loaded(self._machine.run, ((file.path, file.digest) for file in files))

    def _reload(self, step: plan.Step) -> None:
        rpc = self._machine.rpc
        self._read_again.add(step.path)
        loaded = dict(notes.read_loaded(self._machine.run))
        before = loaded.pop(step.path, None)
        notes.write_loaded(self._machine.run, loaded.items())
        if step.kind is plan.Kind.RELOAD_TABLE:
            if before is None or not self._change_rows(step.path, before):
                kamailio.reload_table(rpc, step.subject)
        elif step.kind is plan.Kind.RELOAD_ADDRESSES:
            kamailio.reload_addresses(rpc)
        elif step.kind is plan.Kind.RELOAD_DISPATCHER:
            kamailio.reload_dispatcher(rpc)
        elif step.kind is plan.Kind.RELOAD_REGISTRATIONS:
            kamailio_uac.set_all(rpc, wanted.registrations(self._generation))
        else:
            kamailio_tls.reload_tls(rpc, self._digest_of_leaf())
        loaded[step.path] = self._generation.file(step.path).digest
        notes.write_loaded(self._machine.run, loaded.items())

    def _change_rows(self, path: str, before: str) -> bool:
        """Change a large table row by row; False when it is a small one or much is different.

        Args:
            path: Its file.
            before: The digest of the file that Kamailio has read.
        """
        file = self._generation.file(path)
        sealed = wanted.seal(file)
        text = self._text_of(path, before) if sealed else None
        if sealed is None or text is None:
            return False
        found = wanted.changed_rows(text, file, most=_MOST_LINES)
        old = wanted.seal_of(text)
        if found is None or old in (None, sealed):
            return False
        held = kamailio_tables.seal_of(self._machine.rpc, file.table)
        if (held, self._rows.get(file.table)) != old:
            return False
        rows, gone = found
        rows.pop(tables.SEAL, None)
        alter = partial(kamailio_tables.change, self._machine.rpc, file.table)
        if path == wanted.TENANT_TABLE:
            # Who leaves is there until no number leads to it.
            alter(rows)
            self._last.append(partial(alter, {}, gone, sealed[0]))
        else:
            alter(rows, gone, sealed[0])
        return True

    def _text_of(self, path: str, digest: str) -> str | None:
        """A file by its digest, of what served before or of any generation."""
        for file in self._before.files if self._before else ():
            if (file.path, file.digest) == (path, digest):
                return file.text
        return manifest.find_text(self._generations, path, digest)

    def _digest_of_leaf(self) -> str:
        """Of the certificates that serve from now on; TLS is read again only when there is one.

        Those of tenants follow, and the routing looks for what a connection shows among them.
        """
        name = self._machine.store.certificate()
        pair = self._machine.store.read_certificate(name) if name else None
        if pair is None:
            raise errors.HostError("the installed certificate is gone from the state directory")
        own = self._machine.store.own_certificates(str(name))
        held = [own[fqdn] for *_, fqdn in wanted.own_listeners(self._generation) if fqdn in own]
        return " ".join(certificate.digest_of_leaf(chain) for chain, _ in (pair, *held))
