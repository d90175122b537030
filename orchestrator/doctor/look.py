"""Ask this machine, DNS and the CA, all at the same time; nothing is changed and nothing kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from concurrent import futures
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from orchestrator import errors, observe, proof
from orchestrator.doctor import judge, judge_acme, seen
from orchestrator.engines import certificate, handshake, kamailio_peers
from orchestrator.host import clock, names, ports, web
from orchestrator.render import generation as generations
from orchestrator.render import trunks
from orchestrator.site import microsoft, model

_AT_ONCE = 16
_MICROSOFTS_PORT = 5061
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask.

    Attributes:
        offline: Ask nobody but this machine.
        resolver: Address and port of the DNS server to ask; None for those of the machine.
    """

    offline: bool = False
    resolver: tuple[str, int] | None = None


def look(machine: observe.Machine, site: model.Site, question: Question) -> seen.Seen:
    """Find out everything; what is silent costs a few seconds, once.

    Raises:
        HostError: The state directory cannot be read.
    """
    applied = machine.store.current() is not None
    by_acme = {} if question.offline else judge_acme.names_by_place(site)
    asked_of = site.by_acme.values() if by_acme else ()
    cas = {ca.directory for acme in asked_of for ca in acme.authorities}
    asked_names = () if question.offline else site.certificate_names
    with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        addresses = {
            name: pool.submit(names.addresses, name, question.resolver)
            for name in judge.hosts(site)
            if name in asked_names
        }
        theirs = {
            name: pool.submit(_theirs, name, question.resolver)
            for name in (() if question.offline else microsoft.names(site))
        }
        authorizations = {
            name: pool.submit(names.authorizations, name, question.resolver)
            for each in by_acme.values()
            for name in each
        }
        directories = {
            directory: pool.submit(web.get, directory, trusted=trunks.DISTRIBUTION_ROOTS)
            for directory in sorted(cas)
        }
        wire = pool.submit(_wire, site) if applied else None
        return seen.Seen(
            applied=applied,
            serial=_serial(machine),
            wire=wire.result() if wire else None,
            offered=_offered(site),
            roots=_roots(machine, site, applied=applied),
            store=_file(trunks.DISTRIBUTION_ROOTS),
            addresses=None if question.offline else _gathered(addresses),
            microsoft={name: told.result()[0] for name, told in theirs.items()} or None,
            theirs={name: told.result()[1] for name, told in theirs.items()} or None,
            authorizations=_gathered(authorizations) if by_acme else None,
            listeners=_listeners(site),
            steered=clock.read(),
            directories=_gathered(directories) if by_acme else None,
            peers=_peers(machine) if applied else (),
            tenants=tuple(pool.map(partial(_tenant, site, question, applied), site.full_trunks)),
        )


def _tenant(site: model.Site, question: Question, applied: bool, name: str) -> seen.Tenant:  # noqa: FBT001 - bound by partial
    trunk = site.full_trunks[name]
    return seen.Tenant(
        name=name,
        offered=_pair(trunk.files, (trunk.fqdn,)) if trunk.files else None,
        answer=None if question.offline else names.addresses(trunk.fqdn, question.resolver),
        wire=_shown(trunk.address, site.teams.port, trunk.fqdn) if applied else None,
    )


def _gathered(asked: Mapping[str, futures.Future[_Found]]) -> dict[str, _Found]:
    return {name: answer.result() for name, answer in asked.items()}


def _serial(machine: observe.Machine) -> int | None:
    """The serial of the installed certificate; its key is not read."""
    chain = _file(f"{machine.paths.certificate}/chain.pem").pem
    try:
        return certificate.read_pair(chain).serial
    except ValueError:
        return None


def _theirs(name: str, resolver: tuple[str, int] | None) -> tuple[names.Answer, seen.Wire]:
    """Where one of Microsoft's names leads, and what is shown there."""
    told = names.addresses(name, resolver)
    if not told.addresses:
        return told, seen.Wire("", failure="its name leads nowhere")
    return told, _shown(told.addresses[0], _MICROSOFTS_PORT, name)


def _wire(site: model.Site) -> seen.Wire:
    return _shown(site.node.teams_bind, site.teams.port, site.teams.fqdn)


def _shown(address: str, port: int, name: str) -> seen.Wire:
    place = f"{address}:{port}"
    try:
        return seen.Wire(place, handshake.shown_chain(address, port, name=name))
    except errors.EngineError as error:
        return seen.Wire(place, failure=getattr(error, "words", "") or error.message)


def _peers(machine: observe.Machine) -> tuple[kamailio_peers.Peer, ...]:
    try:
        return kamailio_peers.peers(machine.rpc)
    except errors.EngineError:
        return ()


def _listeners(site: model.Site) -> tuple[ports.Listener, ...] | None:
    found = judge_acme.by_port(site)
    return ports.listeners(found[1].http_port) if found else None


def _offered(site: model.Site) -> seen.Offered | None:
    files = site.certificate.files
    return _pair(files, site.certificate_names) if files else None


def _pair(files: model.CertificateFiles, fqdns: tuple[str, ...]) -> seen.Offered:
    chain, key = _file(files.chain), _file(files.key)
    for each in (chain, key):
        if each.failure:
            return seen.Offered(files.chain, failure=f"{each.path}: {each.failure}")
    now = dt.datetime.now(dt.UTC)
    faults = proof.find_faults(
        chain.pem,
        key.pem,
        names=fqdns,
        now=now,
        roots=observe.known_roots(),
    )
    return seen.Offered(files.chain, chain.pem, faults)


def _roots(machine: observe.Machine, site: model.Site, *, applied: bool) -> seen.File:
    """The file Kamailio judges Microsoft by, or the one it would get."""
    if site.teams.trusted_roots is not None:
        return _file(site.teams.trusted_roots)
    current = f"{machine.paths.current}/kamailio/roots.pem" if applied else ""
    if current and Path(current).exists():
        return _file(current)
    shipped = generations.templates_root().joinpath("kamailio", "roots.pem.j2")
    return seen.File("the file sbcctl brings", shipped.read_bytes())


def _file(path: str) -> seen.File:
    try:
        return seen.File(path, Path(path).read_bytes())
    except OSError as error:
        return seen.File(path, failure=error.strerror or str(error))
