"""Ask host and engines once -> Observed; ask again after a change -> differences.

Nothing is changed in here. An engine that is down or silent is something observed, not an error.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from orchestrator import errors, holding, own_pairs, plan, proof
from orchestrator.engines import (
    certbot,
    certificate,
    kamailio,
    kamailio_load,
    kamailio_rpc,
    rtpengine,
    supervisor,
)
from orchestrator.host import access, notes, pairs, process, store
from orchestrator.render import generation as generations
from orchestrator.render import trunks, views, wanted
from orchestrator.site import model


@dataclass(frozen=True)
class Machine:
    """The machine as seen by one run of sbcctl: where things are and how they are reached.

    Attributes:
        paths: State and run directory.
        engine_root: Tree the engines run from, or None for this machine's own.
        env: The environment, for secrets.
        read: Files outside state and run which the engines read (the trusted roots).
    """

    paths: views.Paths
    engine_root: str | None
    env: Mapping[str, str]
    read: tuple[str, ...] = ()

    @property
    def state(self) -> Path:
        """The state directory."""
        return Path(self.paths.state)

    @property
    def run(self) -> Path:
        """The run directory."""
        return Path(self.paths.run)

    @cached_property
    def root(self) -> process.EngineRoot | None:
        """How engines are run from their tree."""
        if self.engine_root is None:
            return None
        system = ("/etc/ssl/certs/ca-certificates.crt", "/etc/resolv.conf", "/etc/hosts")
        return process.EngineRoot(
            path=self.engine_root,
            write=(self.paths.state, self.paths.run),
            read=tuple(dict.fromkeys((*system, *self.read))),
        )

    @cached_property
    def accounts(self) -> access.Accounts | None:
        """The users systemd starts the engines as; None where they run as we do."""
        return access.find_accounts() if supervisor.uses_units(self.engine_root) else None

    @cached_property
    def store(self) -> store.Store:
        """The state directory's store."""
        return store.Store(self.state, self.accounts)

    @cached_property
    def supervisor(self) -> supervisor.Supervisor:
        """Who starts and stops the engines here."""
        return supervisor.for_this_host(self.state, self.run, self.root)

    @cached_property
    def rpc(self) -> kamailio_rpc.Rpc:
        """Kamailio's RPC."""
        return kamailio_rpc.Rpc(Path(self.paths.kamailio_run) / "kamailio.sock", self.run)

    @cached_property
    def media(self) -> rtpengine.Rtpengine:
        """RTPEngine's ng."""
        return rtpengine.Rtpengine("127.0.0.1", model.NG_PORT)


def engine_facts(machine: Machine) -> views.EngineFacts:
    """Which engines are installed.

    Raises:
        HostError: One is missing; the hint names the Debian package.
    """
    # The shared directories may not exist yet, and asking for a version needs none of them.
    bare = process.EngineRoot(machine.engine_root) if machine.engine_root else None
    program = kamailio.probe_facts(bare)
    return views.EngineFacts(
        kamailio=program.version,
        rtpengine=rtpengine.probe_version(bare),
        module_path=program.module_path,
    )


def observe(
    machine: Machine,
    generation: generations.Generation,
    facts: views.EngineFacts,
    seen: plan.CertificateSeen,
    stored: store.Stored | None = None,
) -> plan.Observed:
    """Look at disk and engines once, with *generation* as what is wanted.

    Who has just read the current generation hands it on as *stored*.
    """
    if stored is None and (name := machine.store.current()):
        stored = machine.store.load(name)
    running = _see_kamailio(machine, generation, facts, seen)
    if stored and wanted.DATABASE in stored.drifted:
        # Rows out of another database may be as many: none is changed, all are read again.
        running = dataclasses.replace(running, rows=())
    return plan.Observed(
        committed=stored.digest if stored else "",
        drifted=stored.drifted if stored else (),
        units=machine.supervisor.installed_units(),
        certificate=seen,
        kamailio=running,
        rtpengine=_see_rtpengine(machine),
    )


def _see_kamailio(
    machine: Machine,
    generation: generations.Generation,
    facts: views.EngineFacts,
    certificate_seen: plan.CertificateSeen,
) -> plan.KamailioSeen:
    status = machine.supervisor.status("kamailio")
    if not status.running:
        return plan.KamailioSeen(version=facts.kamailio)
    loaded = notes.read_loaded(machine.run)
    memory, holds = None, holding.Holding(machine.rpc, generation)
    try:
        timer = wanted.answer_seconds(generation)
        skeleton = kamailio.running_skeleton(machine.rpc, timer=timer)
        ours = skeleton == generation.skeleton
        held = kamailio.destinations(machine.rpc) if ours else None
        differing = tuple(_differing(generation, holds, frozenset(loaded))) if ours else ()
        rows = tuple(sorted(holds.counts.items())) if ours else ()
        served = _served(*wanted.teams_listener(generation)) if ours else None
        listeners = wanted.own_listeners(generation) if ours else ()
        served_own = tuple((each[2], _served(*each)) for each in listeners)
        tls = generation.file(wanted.TLS_CONFIG)
        if (
            plan.is_stale(certificate_seen, served, served_own)
            or (tls.path, tls.digest) not in loaded
        ):
            memory = kamailio_load.shared_memory(machine.rpc)
    except errors.EngineSilent:
        return plan.KamailioSeen(version=facts.kamailio, running=True, command=status.command)
    return plan.KamailioSeen(
        version=facts.kamailio,
        running=True,
        answering=True,
        command=status.command,
        skeleton=skeleton,
        loaded=loaded,
        destinations=None if held is None else tuple((held.set_id, held.uri) for held in held),
        differing=differing,
        served=served,
        served_own=served_own,
        rows=rows,
        memory=memory,
    )


def _differing(
    generation: generations.Generation, holds: holding.Holding, loaded: frozenset[tuple[str, str]]
) -> Iterator[str]:
    """Paths of what Kamailio was made to read and does not hold; other files need no look."""
    for file in holding.told_whole(generation):
        if (file.path, file.digest) in loaded and not holds.has(file):
            yield file.path


def _see_rtpengine(machine: Machine) -> plan.RtpengineSeen:
    status = machine.supervisor.status("rtpengine")
    if not status.running:
        return plan.RtpengineSeen()
    try:
        calls = machine.media.sessions()
    except errors.EngineError:
        return plan.RtpengineSeen(running=True, command=status.command)
    return plan.RtpengineSeen(
        running=True,
        answering=True,
        command=status.command,
        config=status.started_with,
        calls=calls,
    )


def _served(address: str, port: int, name: str) -> int | None:
    try:
        return certificate.served(address, port, name=name).serial
    except errors.EngineError:
        return None


# -- the certificate ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """A certificate that could be installed: chain and key as PEM, and those of tenants."""

    chain: bytes
    key: bytes
    own: Mapping[str, pairs.Pair] = field(default_factory=dict)


def see_certificate(
    machine: Machine, site: model.Site, now: dt.datetime, *, patient: bool = False
) -> tuple[plan.CertificateSeen, Offer | None]:
    """Look at the installed certificate and at the one its source has.

    Args:
        machine: Where.
        site: What is wanted.
        now: When it must serve.
        patient: True to go on with the installed pair of a tenant whose files cannot serve, and
            with the site's own where another of a tenant's waits.

    Raises:
        SiteError: The files named in site.yaml cannot serve; every reason is a Problem.
        HostError: They cannot be read.
    """
    name = machine.store.certificate()
    held = machine.store.read_certificate(name) if name else None
    installed = None
    faults: tuple[str, ...] = ("there is none yet",)
    if held is not None:
        faults = proof.find_faults(*held, names=site.certificate_names, now=now)
        try:
            installed = certificate.read_pair(held[0])
        except ValueError:
            installed = None
    offer: Offer | None
    if source_files := site.certificate.files:
        offer = _offered_files(site, source_files, now)
    else:
        offer, foreign = _lineage(machine, site, now)
        faults += foreign
    held_own = machine.store.own_certificates(name) if name else {}
    told = own_pairs.read_offered(
        site, held_own, now, roots=known_roots(), lineages=machine.state / "acme"
    )
    own = told.pairs
    if told.wrong and not patient:
        raise errors.SiteError(tuple(told.wrong))
    if offer is None and held is not None and installed and (patient or not faults):
        offer = Offer(*held)
    if offer is not None:
        same = held == (offer.chain, offer.key) and held_own == own
        offer = None if same else Offer(offer.chain, offer.key, own)
    seen = plan.CertificateSeen(
        source="files" if source_files else "acme",
        installed=installed,
        faults=faults,
        offered=certificate.read_pair(offer.chain) if offer else None,
        own=_pairs(held_own),
        changed=tuple(
            fqdn
            for fqdn in sorted(own.keys() | held_own.keys())
            if held_own.get(fqdn) != own.get(fqdn)
        ),
        passed_over=tuple(problem.message for problem in told.wrong),
        missing=tuple(told.missing),
        replaced=tuple(told.replaced),
    )
    return seen, offer


def _pairs(own: Mapping[str, pairs.Pair]) -> tuple[tuple[str, plan.Pair], ...]:
    found = []
    for fqdn, (chain, _) in own.items():
        # One that somebody spoiled is as if it were gone: another one is due.
        with suppress(ValueError):
            found.append((fqdn, certificate.read_pair(chain)))
    return tuple(found)


def find_faults(site: model.Site, offer: Offer, now: dt.datetime) -> tuple[str, ...]:
    """Why a pair that nobody serves yet cannot serve *site*; nothing means that it can."""
    return proof.find_faults(
        offer.chain, offer.key, names=site.certificate_names, now=now, roots=known_roots()
    )


def known_roots() -> bytes:
    """The roots this machine knows, PEM; empty when they cannot be read."""
    try:
        return Path(trunks.DISTRIBUTION_ROOTS).read_bytes()
    except OSError:
        return b""


def see_installed_certificate(machine: Machine) -> plan.CertificateSeen:
    """The installed certificate alone, as it is; used on the way back to an earlier generation."""
    name = machine.store.certificate()
    held = machine.store.read_certificate(name) if name else None
    installed = certificate.read_pair(held[0]) if held else None
    own = machine.store.own_certificates(name) if name else {}
    return plan.CertificateSeen(source="files", installed=installed, own=_pairs(own))


def _lineage(
    machine: Machine, site: model.Site, now: dt.datetime
) -> tuple[Offer | None, tuple[str, ...]]:
    """What certbot has, if it can serve; else, and what speaks against it: another CA."""
    lineage = certbot.read_lineage(machine.state / "acme", site.teams.fqdn)
    if lineage is None:
        return None, ()
    acme = site.certificate.acme
    asked = [ca.directory for ca in acme.authorities] if acme else []
    if lineage.directory not in ("", *asked):
        return None, (f"it is from {lineage.directory}, and site.yaml names another CA",)
    unfit = find_faults(site, Offer(lineage.chain, lineage.key), now)
    return None if unfit else Offer(lineage.chain, lineage.key), ()


def _offered_files(site: model.Site, files: model.CertificateFiles, now: dt.datetime) -> Offer:
    contents = []
    for key, path in (("chain", files.chain), ("key", files.key)):
        try:
            contents.append(Path(path).read_bytes())
        except OSError as error:
            raise errors.HostError(
                f"cannot read {path}, named by certificate.files.{key}: {error.strerror}",
                hint="the path must be absolute and readable by the user who runs sbcctl",
            ) from error
    chain, private = contents
    offer = Offer(chain, private)
    faults = find_faults(site, offer, now)
    if faults:
        raise errors.SiteError(
            tuple(
                errors.Problem(
                    id="unfit-certificate",
                    message=f"{files.chain}: {fault}",
                    path=("certificate", "files", "chain"),
                    hint="nothing was changed; put a pair there that fits and apply again",
                )
                for fault in faults
            )
        )
    return offer


# -- after a change -------------------------------------------------------------------------


def read_back(
    machine: Machine, generation: generations.Generation, only: frozenset[str] | None = None
) -> tuple[str, ...]:
    """Ask the running engines what they hold -> where it is something else, as sentences.

    Args:
        machine: The running engines.
        generation: What they must hold.
        only: The files that were read again, where everything else was seen to be as it must be
            and nothing was started since; without it all is asked.

    Raises:
        EngineSilent: An engine does not answer.
    """
    holds = holding.Holding(machine.rpc, generation)
    files = holding.told_whole(generation)
    if only is not None:
        listed = wanted.DISPATCHER_LIST in only
        found = list(holds.differing_destinations()) if listed else []
        found += holds.differing(file for file in files if file.path in only)
        return tuple(found)
    found = []
    if kamailio.running_skeleton(machine.rpc) != generation.skeleton:
        found.append("Kamailio runs another configuration than the one written")
    lost = wanted.sockets(generation) - kamailio.read_sockets(machine.rpc)
    if lost:
        found.append(f"Kamailio does not listen on {', '.join(sorted(lost))}")
    found += holds.differing_destinations()
    found += holds.differing(files)
    machine.media.ping()
    return tuple(found)
