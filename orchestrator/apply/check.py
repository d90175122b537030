"""What must hold before anything is changed: a safe engine, addresses, ports, roots and music."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator import errors, observe, plan, proof
from orchestrator.engines import kamailio, supervisor
from orchestrator.host import access, network
from orchestrator.render import generation as generations
from orchestrator.render import trunks, wanted
from orchestrator.site import model


def find_refusals(site: model.Site, version: tuple[int, int, int]) -> tuple[errors.Problem, ...]:
    """What must not be done with this Kamailio; nothing means go on.

    A Teams listener on Kamailio < 6.0 can be crashed by anybody who reaches it; the operator may
    accept that in words.
    """
    if (
        version >= plan.TLS_RELOAD_IS_SAFE_FROM
        or site.engines.accept_risk == model.OLD_KAMAILIO_RISK
    ):
        return ()
    called = ".".join(map(str, version))
    return (
        errors.Problem(
            id="unsafe-kamailio",
            message=f"Kamailio {called} is not safe as a TLS edge: concurrent handshakes crash"
            " it, and every call with it; Debian 13 has 6.0",
            path=("engines", "accept_risk"),
            hint=f"use Debian 13, or accept it in site.yaml:"
            f" engines: {{accept_risk: {model.OLD_KAMAILIO_RISK}}}",
        ),
    )


def check_roots(site: model.Site, machine: observe.Machine) -> None:
    """Make sure that the CAs of site.yaml can be read; Kamailio reads them only when it starts.

    Raises:
        SiteError: A file is missing, may not be read by us or by Kamailio's user, or holds no
            certificates.
    """
    problems = []
    for path, where in named_roots(site):
        fault = _fault_of(path, machine)
        if fault:
            problems.append(
                errors.Problem(
                    id="unfit-roots",
                    message=f"{path} cannot be used: {fault}",
                    path=where,
                    hint="put the roots there as PEM, or leave this out for Microsoft's own"
                    if where[0] == "teams"
                    else "put the CAs that vouch for trunks there as PEM",
                )
            )
    if problems:
        raise errors.SiteError(tuple(problems))


def named_roots(site: model.Site) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Each file of CAs and where site.yaml names it."""
    if site.teams.trusted_roots is not None:
        yield site.teams.trusted_roots, ("teams", "trusted_roots")
    for name, trunk in site.trunks.items():
        if trunk.transport is model.Transport.TLS:
            yield trunks.roots(site), ("trunks", name, "tls", "ca")
            return


def _fault_of(path: str, machine: observe.Machine) -> str:
    """Why a file of CAs cannot be used; empty when it can."""
    try:
        fault = proof.find_roots_fault(Path(path).read_bytes())
    except OSError as error:
        fault = (error.strerror or str(error)).lower()
    if not fault and machine.accounts and not access.may_read(machine.accounts.kamailio, path):
        fault = "the user kamailio may not read it"
    return fault


def check_music(site: model.Site, machine: observe.Machine) -> None:
    """Make sure that RTPEngine can play the music of site.yaml, or a held call stays silent.

    Raises:
        SiteError: A file is missing, may not be read by us or by RTPEngine's user, or is no WAV.
    """
    problems = tuple(
        errors.Problem(
            id="unfit-music",
            message=f"{path} cannot be played: {fault}",
            path=where,
            hint="put a WAV file there that everybody may read, or leave hold_music out",
        )
        for path, where in named_music(site)
        if (fault := _fault_of_music(path, machine))
    )
    if problems:
        raise errors.SiteError(problems)


def named_music(site: model.Site) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Each file of music and where site.yaml names it."""
    for name, trunk in site.trunks.items():
        if trunk.hold_music is not None:
            yield trunk.hold_music, ("trunks", name, "hold_music")


def _fault_of_music(path: str, machine: observe.Machine) -> str:
    """Why a file of music cannot be played; empty when it can."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(12)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return "it is no WAV file"
    if machine.accounts and not access.may_read(machine.accounts.rtpengine, path):
        return "the user rtpengine may not read it"
    return ""


def check_sockets(machine: observe.Machine, generation: generations.Generation) -> None:
    """Make sure that the sockets can be bound which no engine of ours holds yet.

    Raises:
        HostError: An address is not on this machine, or somebody else has the port.
    """
    sockets = [_parsed(text) for text in sorted(wanted.sockets(generation))]
    here = network.addresses()
    for _, address, _ in sockets:
        if address not in here:
            raise errors.NotHere(
                f"the address {address} is not on this machine",
                hint="see node in site.yaml (public_address, private_address, trunk_address) and"
                " addresses of tenants; this machine has " + ", ".join(sorted(here)),
            )
    held: frozenset[str] = frozenset()
    if machine.supervisor.status("kamailio").running:
        try:
            held = kamailio.read_sockets(machine.rpc)
        except errors.EngineError:
            return
    for transport, address, port in sockets:
        if (
            f"{transport}:{address}:{port}" not in held
            and f"{transport}:[{address}]:{port}" not in held
        ):
            supervisor.check_free(transport, address, port)
    if not machine.supervisor.status("rtpengine").running:
        supervisor.check_free("udp", "127.0.0.1", model.NG_PORT)


def _parsed(text: str) -> tuple[str, str, int]:
    transport, _, rest = text.partition(":")
    address, _, port = rest.rpartition(":")
    return transport, address.strip("[]"), int(port)
