"""What a tenant may not say whose trunk at Microsoft is its own, and what such trunks cost.

Pure, like ``rules``, which asks each function here. Kamailio keeps each certificate twice, for who
dials and who is dialled, and each time once for every process it has (docs/decisions/0038).
"""

from __future__ import annotations

import ipaddress
import itertools
import math
from collections.abc import Callable, Iterator

from orchestrator import errors
from orchestrator.site import model

MOST = 100
"""Certificates of tenants in one site."""

_BASE, _EACH = 96, 8
"""MiB of shared memory that Kamailio needs anyhow, and for each certificate, with room for three
reloads of TLS: 2.4 once it has started, and 1.5 more after each reload (docs/decisions/0038)."""

_START, _OLD_START = 16, 40
"""Milliseconds that each adds to the start of Kamailio, from 6.0 on and before."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def shared_memory(site: model.Site) -> int:
    """MiB of shared memory that the certificates of tenants take."""
    return _EACH * len(site.full_trunks)


def find_hints(site: model.Site) -> Iterator[errors.Problem]:
    """What they cost is said before it is noticed."""
    count = len(site.full_trunks)
    if not count:
        return
    have = "one tenant has a certificate of its own"
    if count > 1:
        have = f"{count} tenants have certificates of their own"
    yield errors.Problem(
        "own-certificates",
        f"{have}: {shared_memory(site)} MiB of Kamailio's shared memory, and a start that takes"
        f" {_START * count:,} ms longer ({_OLD_START * count:,} ms before 6.0)",
        ("tenants", next(iter(site.full_trunks)), "certificate"),
        hint="a name one label under teams.fqdn costs nothing",
    )


def _find_taken_addresses(site: model.Site) -> Iterator[errors.Problem]:
    """By its address Kamailio knows whose certificate to show."""
    node = site.node
    owners: dict[Address, str] = {
        ipaddress.ip_address(node.trunk_bind): "node.trunk_address",
        ipaddress.ip_address(node.teams_bind): "node.private_address",
        node.public_address: "node.public_address",
    }
    for name, tenant in site.tenants.items():
        if tenant.address is None:
            continue
        owner = owners.setdefault(tenant.address, f"the address of tenant {name}")
        if owner != f"the address of tenant {name}":
            yield errors.Problem(
                "address-taken",
                f"the address {tenant.address} of tenant {name} is {owner} already",
                ("tenants", name, "address"),
                hint="each certificate of a tenant has an address of its own",
            )


def _find_names_of_ours(site: model.Site) -> Iterator[errors.Problem]:
    for name, trunk in site.full_trunks.items():
        if trunk.fqdn == site.teams.fqdn:
            yield errors.Problem(
                "certificate-twice",
                f"tenant {name} has a certificate of its own for teams.fqdn, {trunk.fqdn}",
                ("tenants", name, "certificate"),
                hint="its certificate is the site's: leave certificate and address out",
            )


def _find_too_many(site: model.Site) -> Iterator[errors.Problem]:
    for name in itertools.islice(site.full_trunks, MOST, MOST + 1):
        yield errors.Problem(
            "too-many-certificates",
            f"{len(site.full_trunks)} tenants have certificates of their own, and {MOST} may",
            ("tenants", name, "certificate"),
            hint="names one label under teams.fqdn need none; or spread them over several sites",
        )


def _find_too_little_memory(site: model.Site) -> Iterator[errors.Problem]:
    """Kamailio that runs out of memory while it starts does not start."""
    need, given = math.ceil(_BASE + shared_memory(site)), site.engines.shared_memory
    if site.full_trunks and need > given:
        yield errors.Problem(
            "certificates-too-large",
            f"certificates of {len(site.full_trunks)} tenants need {need} MiB of shared memory;"
            f" there are {given}",
            ("tenants", next(iter(site.full_trunks)), "certificate"),
            hint=f"engines: {{shared_memory: {need}}}",
        )


RULES: tuple[Callable[[model.Site], Iterator[errors.Problem]], ...] = (
    _find_taken_addresses,
    _find_names_of_ours,
    _find_too_many,
    _find_too_little_memory,
)
"""Each finds Problems of one kind."""
