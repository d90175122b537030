"""What must hold before anything is changed: addresses, ports, and roots to judge Teams by."""

from __future__ import annotations

from pathlib import Path

from orchestrator import errors, observe
from orchestrator.engines import certificate, kamailio, supervisor
from orchestrator.host import access, network
from orchestrator.render import generation as generations
from orchestrator.render import wanted
from orchestrator.site import model


def check_roots(site: model.Site, machine: observe.Machine) -> None:
    """Make sure that ``teams.trusted_roots`` can be read; Kamailio reads it only when it starts.

    Raises:
        SiteError: The file is missing, may not be read by us or by Kamailio's user, or holds no
            certificates.
    """
    path = site.teams.trusted_roots
    if path is None:
        return
    try:
        fault = certificate.find_roots_fault(Path(path).read_bytes())
    except OSError as error:
        fault = (error.strerror or str(error)).lower()
    if not fault and machine.accounts and not access.may_read(machine.accounts.kamailio, path):
        fault = "the user kamailio may not read it"
    if fault:
        raise errors.SiteError(
            (
                errors.Problem(
                    id="unfit-roots",
                    message=f"{path} cannot be used: {fault}",
                    path=("teams", "trusted_roots"),
                    hint="put the roots there as PEM, or leave this out for Microsoft's own",
                ),
            )
        )


def check_sockets(machine: observe.Machine, generation: generations.Generation) -> None:
    """Make sure that the sockets can be bound which no engine of ours holds yet.

    Raises:
        HostError: An address is not on this machine, or somebody else has the port.
    """
    sockets = [_parsed(text) for text in sorted(wanted.sockets(generation))]
    here = network.addresses()
    for _, address, _ in sockets:
        if address not in here:
            raise errors.HostError(
                f"the address {address} is not on this machine",
                hint="see node in site.yaml: public_address, private_address, trunk_address;"
                " this machine has " + ", ".join(sorted(here)),
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
