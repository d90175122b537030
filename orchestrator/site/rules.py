"""What no single field can know: references, overlaps and limits across a site.

Pure: a Site in, every Problem out. Two lists: :func:`find_problems` names what would break calls
or lock the site out, :func:`find_hints` what is allowed but probably not meant. Neither knows
where things stand in the file; ``load`` fills that in.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping

from orchestrator import errors
from orchestrator.site import (
    account_rules,
    certificate_rules,
    full_trunk_rules,
    microsoft,
    model,
    route_rules,
    tenant_rules,
    trunk_rules,
)

MOST_GATEWAYS = 5_000
"""Kamailio takes half a second to list so many, and the square of that for more (record 0024)."""

MOST_OF_ONE_RULE = 1_000
"""Problems one rule may have."""

_MICROSOFT = tuple(ipaddress.ip_network(network) for network in microsoft.all_networks())
"""Networks of all clouds (EP-4); a trunk is never there, whatever cloud the tenant lives in."""

# RFC 1918, RFC 6598 and RFC 4193: what the Internet does not route. Not `is_private`, which
# counts the documentation ranges that labs and examples use.
_UNROUTED = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Path = tuple[str | int, ...]


def find_excess(value: object) -> tuple[errors.Problem, ...]:
    """Say so when there are more trunks than gateways may be, before each is looked at.

    Args:
        value: The whole file as plain values, not yet a Site.
    """
    trunks = value.get("trunks") if isinstance(value, Mapping) else None
    if not isinstance(trunks, Mapping) or len(trunks) <= MOST_GATEWAYS:
        return ()
    return (
        errors.Problem(
            "too-many-gateways",
            f"there are {len(trunks):,} trunks, each with a gateway at least, and"
            f" {MOST_GATEWAYS:,} gateways may be in all",
            path=("trunks",),
            hint="spread them over several sites",
        ),
    )


def find_problems(site: model.Site) -> tuple[errors.Problem, ...]:
    """The reasons why *site* cannot be served, in no particular order.

    A rule that a generated site breaks more than MOST_OF_ONE_RULE times is cut short there.
    """
    return tuple(
        problem for rule in _RULES for problem in itertools.islice(rule(site), MOST_OF_ONE_RULE)
    )


def find_hints(site: model.Site) -> tuple[errors.Problem, ...]:
    """What is allowed in *site* but probably not meant; nothing is refused for it."""
    return (
        *_find_unreachable_address(site),
        *certificate_rules.find_hints(site),
        *account_rules.find_hints(site),
        *route_rules.find_hints(site),
        *tenant_rules.find_hints(site),
        *full_trunk_rules.find_hints(site),
    )


def _address_of(gateway: model.Gateway) -> Address | None:
    return _parsed(gateway.host)


@functools.lru_cache(maxsize=65536)
def _parsed(host: str) -> Address | None:
    """The address of a gateway, or None when it is a name; several rules ask for each."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _gateways(site: model.Site) -> Iterator[tuple[str, Path, model.Gateway]]:
    for name, trunk in site.trunks.items():
        for number, gateway in enumerate(trunk.gateways):
            yield name, ("trunks", name, "gateways", number), gateway


# -- the node's addresses and ports -----------------------------------------------------------


def _find_bad_addresses(site: model.Site) -> Iterator[errors.Problem]:
    node = site.node
    for key, address in (
        ("public_address", node.public_address),
        ("private_address", node.private_address),
        ("trunk_address", node.trunk_address),
    ):
        # Trunks on the same machine may be served on loopback; Teams is never there.
        if address is None or (address.is_loopback and key == "trunk_address"):
            continue
        kind = _unusable(address)
        if kind:
            yield errors.Problem(
                "unusable-address",
                f"node.{key} cannot be {address}, {kind}",
                ("node", key),
                hint="it is an address of one interface of this machine"
                if key != "public_address"
                else "it is the address that teams.fqdn resolves to",
            )
    for path, address in _of_tenants(site):
        if kind := _unusable(address):
            yield errors.Problem(
                "unusable-address",
                f"{path[2]} of tenant {path[1]} cannot be {address}, {kind}",
                path,
                hint="it is an address of one interface of this machine",
            )


def _of_tenants(site: model.Site) -> Iterator[tuple[Path, Address]]:
    for name in site.full_trunks:
        for key in ("address", "public_address"):
            address = getattr(site.tenants[name], key)
            if address is not None:
                yield ("tenants", name, key), address


def _unusable(address: Address) -> str:
    """Why nobody can be reached at *address*; empty for what is an ordinary address."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return "an address with a zone"
        if address.ipv4_mapped is not None:
            return "an IPv4 address written as IPv6"
    kinds = (
        (address.is_loopback, "a loopback address"),
        (address.is_unspecified, 'the address that means "any"'),
        (address.is_multicast, "a multicast address"),
        (address.is_link_local, "a link-local address"),
        (address.version == 4 and address.is_reserved, "a reserved address"),
    )
    return next((kind for is_so, kind in kinds if is_so), "")


def _find_ipv6(site: model.Site) -> Iterator[errors.Problem]:
    """IPv6 is refused as a whole until Record-Route, media and the gates speak it (limits.md)."""
    node = site.node
    written: list[tuple[Path, object]] = [
        (("node", "public_address"), node.public_address),
        (("node", "private_address"), node.private_address),
        (("node", "trunk_address"), node.trunk_address),
    ]
    written += _of_tenants(site)
    networks = enumerate(site.teams.networks or ())
    written += [(("teams", "networks", number), network) for number, network in networks]
    written += [(path, _address_of(gateway)) for _, path, gateway in _gateways(site)]
    for path, address in written:
        if getattr(address, "version", 4) == 6:
            yield errors.Problem(
                "ipv6",
                f"{address} is IPv6, which this version of sbcctl cannot serve yet",
                path,
                hint="give an IPv4 address",
            )


def _find_port_clashes(site: model.Site) -> Iterator[errors.Problem]:
    node, teams = site.node, site.teams
    if node.sip_port == teams.port and node.trunk_bind == node.teams_bind:
        yield errors.Problem(
            "port-clash",
            f"node.sip_port and teams.port are both {teams.port} on {node.teams_bind}",
            ("node", "sip_port"),
            hint="trunks usually use 5060, Teams 5061",
        )
    for place, acme in site.by_acme.items():
        for key, port in (("node.sip_port", node.sip_port), ("teams.port", teams.port)):
            if acme.dns is None and acme.http_port == port:
                yield errors.Problem(
                    "port-clash",
                    f"{'.'.join(place)}.http_port and {key} are both {port}",
                    (*place, "http_port"),
                    hint="the CA connects to port 80",
                )
    media = site.media.ports
    taken = (
        ("node.sip_port", node.sip_port),
        ("teams.port", teams.port),
        ("the control port of RTPEngine", model.NG_PORT),
    )
    inside = [f"{port} ({what})" for what, port in taken if media.first <= port <= media.last]
    if inside:
        yield errors.Problem(
            "port-clash",
            f"media.ports {media.first}-{media.last} contains {' and '.join(inside)}",
            ("media", "ports"),
            hint="the default is 30000-39999",
        )


def _find_wrong_cloud_port(site: model.Site) -> Iterator[errors.Problem]:
    """EP-2: in the two government clouds the SBC's own port is 5061."""
    if site.teams.cloud is not model.Cloud.COMMERCIAL and site.teams.port != 5061:
        yield errors.Problem(
            "cloud-port",
            f"teams.port must be 5061 in the cloud {site.teams.cloud} (EP-2)",
            ("teams", "port"),
            hint="leave teams.port out",
        )


# -- trunks -----------------------------------------------------------------------------------


def _find_bad_gateways(site: model.Site) -> Iterator[errors.Problem]:
    node = site.node
    ours = {node.public_address, *map(ipaddress.ip_address, (node.teams_bind, node.trunk_bind))}
    networks = _networks((*_MICROSOFT, *(site.teams.networks or ())))
    for name, path, gateway in _gateways(site):
        address = _address_of(gateway)
        kind = _unusable(address) if address is not None and not address.is_loopback else ""
        is_ours = gateway.host == site.teams.fqdn if address is None else address in ours
        if kind:
            yield errors.Problem(
                "unusable-address",
                f"the gateway of trunk {name} cannot be {gateway.host}, {kind}",
                path,
                hint="give the address or the name of the PBX or carrier",
            )
        elif is_ours and gateway.port in (node.sip_port, node.tls_port, site.teams.port):
            yield errors.Problem(
                "gateway-is-this-node",
                f"the gateway {gateway.uri} of trunk {name} is this SBC itself",
                path,
                hint="calls would go round in a circle; give the PBX or carrier",
            )
        elif _is_microsoft(gateway, address, networks):
            yield errors.Problem(
                "gateway-is-microsoft",
                f"the gateway {gateway.host} of trunk {name} is one of Microsoft's",
                path,
                hint="Teams is no trunk; it is reached without being listed",
            )
        elif address is None:
            yield errors.Problem(
                "gateway-by-name",
                f"the gateway {gateway.host} of trunk {name} is a name, and a caller is known by "
                "its address",
                path,
                hint="give the address of the gateway; one entry for each, when it has several",
            )


_Networks = tuple[tuple[int, int, int], ...]
"""Version, mask and first address of networks, as numbers: a site may have many gateways."""


def _networks(networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> _Networks:
    return tuple(
        (network.version, int(network.netmask), int(network.network_address))
        for network in networks
    )


def _is_microsoft(gateway: model.Gateway, address: Address | None, networks: _Networks) -> bool:
    if address is None:
        return gateway.host.endswith(microsoft.DOMAINS)
    number, version = int(address), address.version
    return any(
        version == its_version and number & mask == first for its_version, mask, first in networks
    )


def _find_repeated_gateways(site: model.Site) -> Iterator[errors.Problem]:
    """The source address says which trunk calls, so no two trunks share one."""
    trunk_of: dict[Address | str, str] = {}
    seen: set[tuple[str, Address | str, int]] = set()
    for name, path, gateway in _gateways(site):
        host = _address_of(gateway) or gateway.host
        first = trunk_of.setdefault(host, name)
        if first != name:
            yield errors.Problem(
                "gateway-shared",
                f"the gateway {gateway.host} of trunk {name} belongs to trunk {first} as well",
                path,
                hint="a caller is known by its address, so an address has one trunk",
            )
        elif (name, host, gateway.port) in seen:
            yield errors.Problem(
                "gateway-twice",
                f"trunk {name} names {gateway.host}:{gateway.port} twice",
                path,
                hint="remove one of the two",
            )
        seen.add((name, host, gateway.port))


def _find_unservable_gateways(site: model.Site) -> Iterator[errors.Problem]:
    """What the routing cannot do yet; each is a line of docs/limits.md."""
    total = 0
    for name, path, gateway in _gateways(site):
        total += 1
        first = site.trunks[name].gateways[0].transport
        if gateway.transport is not first:
            yield errors.Problem(
                "gateway-transports",
                f"trunk {name} has gateways over {first} and over {gateway.transport}",
                path,
                hint="one trunk speaks one transport; make it two trunks",
            )
    if total > MOST_GATEWAYS:
        yield errors.Problem(
            "too-many-gateways",
            f"the trunks have {total:,} gateways, and may have {MOST_GATEWAYS:,} in all",
            ("trunks",),
            hint="more of them cannot be read back from Kamailio in time; split the site",
        )


# -- phones -----------------------------------------------------------------------------------


def _find_repeated_phones(site: model.Site) -> Iterator[errors.Problem]:
    user_of_number: dict[str, str] = {}
    user_of_name: dict[str, str] = {}
    for user, phone in site.phones.users.items() if site.phones else ():
        first = user_of_number.setdefault(phone.number, user)
        if first != user:
            yield errors.Problem(
                "number-twice",
                f"the number {phone.number} of phone {user} rings phone {first} already",
                ("phones", "users", user, "number"),
                hint="each phone has a number of its own",
            )
        same = user_of_name.setdefault(user.lower(), user)
        if same != user:
            yield errors.Problem(
                "user-twice",
                f"the phone {user} differs from {same} in upper and lower case only",
                ("phones", "users", user),
                hint="phones and people mix them up; choose another name",
            )


# -- hints ------------------------------------------------------------------------------------


def _find_unreachable_address(site: model.Site) -> Iterator[errors.Problem]:
    address = site.node.public_address
    if site.node.private_address is None and any(address in net for net in _UNROUTED):
        yield errors.Problem(
            "private-public-address",
            f"node.public_address {address} is not reachable from the Internet, so not for Teams",
            ("node", "public_address"),
            hint="behind 1:1 NAT this one is node.private_address; the public one is what "
            "teams.fqdn resolves to",
        )


_RULES: tuple[Callable[[model.Site], Iterator[errors.Problem]], ...] = (
    _find_bad_addresses,
    _find_ipv6,
    _find_port_clashes,
    _find_wrong_cloud_port,
    _find_bad_gateways,
    _find_unservable_gateways,
    _find_repeated_gateways,
    _find_repeated_phones,
    *trunk_rules.RULES,
    *route_rules.RULES,
    *account_rules.RULES,
    *certificate_rules.RULES,
    *tenant_rules.RULES,
    *full_trunk_rules.RULES,
)
