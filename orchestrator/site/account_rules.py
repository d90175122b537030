"""What no single field of a trunk can know: shares and order, TLS and whom to trust, accounts.

Pure, like ``rules``, which asks each function here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator import errors
from orchestrator.site import model


def _secured(site: model.Site) -> Iterator[tuple[str, model.Trunk]]:
    """The trunks with a gateway that is reached by TLS."""
    for name, trunk in site.trunks.items():
        if any(gateway.transport is model.Transport.TLS for gateway in trunk.gateways):
            yield name, trunk


def _find_mixed_orders(site: model.Site) -> Iterator[errors.Problem]:
    """One trunk is either tried in an order or shared out: Kamailio's dispatcher has no both."""
    for name, trunk in site.trunks.items():
        for key in ("priority", "weight"):
            given = [getattr(gateway, key) is not None for gateway in trunk.gateways]
            if any(given) and not all(given):
                yield errors.Problem(
                    "gateway-order",
                    f"trunk {name} gives some gateways a {key} and others none",
                    ("trunks", name, "gateways", given.index(False)),
                    hint=f"give each of them a {key}, or none of them",
                )
        ordered = any(gateway.priority is not None for gateway in trunk.gateways)
        if ordered and any(gateway.weight is not None for gateway in trunk.gateways):
            yield errors.Problem(
                "gateway-order",
                f"trunk {name} has gateways with a priority and gateways with a weight",
                ("trunks", name, "gateways"),
                hint="in an order (priority) or by shares (weight); a route can lead from one "
                "trunk to the next",
            )


def _find_tls_listener_clashes(site: model.Site) -> Iterator[errors.Problem]:
    """Which CAs are trusted follows from our own address: one for Teams, one for trunks."""
    node = site.node
    secured = [name for name, _ in _secured(site)]
    if not secured:
        return
    if node.trunk_bind == node.teams_bind:
        yield errors.Problem(
            "tls-address",
            f"trunk {secured[0]} speaks TLS, and trunks and Teams share {node.teams_bind}: other "
            "CAs vouch for Microsoft than for a trunk",
            ("trunks", secured[0], "gateways"),
            hint="give the machine a second address and name it in node.trunk_address",
        )
    if node.tls_port == node.sip_port:
        yield errors.Problem(
            "port-clash",
            f"node.tls_port and node.sip_port are both {node.tls_port} on {node.trunk_bind}",
            ("node", "tls_port"),
            hint="trunks over TLS usually use 5061",
        )
    for place, acme in site.by_acme.items():
        if acme.dns is not None or acme.http_port != node.tls_port:
            continue
        yield errors.Problem(
            "port-clash",
            f"{'.'.join(place)}.http_port and node.tls_port are both {node.tls_port}",
            (*place, "http_port"),
            hint="the CA connects to port 80",
        )


def _find_unclear_trust(site: model.Site) -> Iterator[errors.Problem]:
    secured = dict(_secured(site))
    for name, trunk in site.trunks.items():
        if trunk.tls is not None and name not in secured:
            yield errors.Problem(
                "tls-unused",
                f"trunks.{name}.tls says whom to trust, and no gateway of it speaks TLS",
                ("trunks", name, "tls"),
                hint="write the gateways with ;transport=tls",
            )
    first = ""
    for name, trunk in secured.items():
        trust = trunk.tls or model.TrunkTls()
        first = first or name
        if trust.ca is None and trust.name is None:
            yield errors.Problem(
                "tls-anybody",
                f"trunk {name} would believe anybody with a certificate of a public CA",
                ("trunks", name, "tls") if trunk.tls else ("trunks", name),
                hint="name the certificate's name in tls.name, or a CA of your own in tls.ca",
            )
        if trust.ca != (secured[first].tls or model.TrunkTls()).ca:
            yield errors.Problem(
                "tls-roots",
                f"trunk {name} trusts other CAs than trunk {first}",
                ("trunks", name, "tls") if trunk.tls else ("trunks", name),
                hint="put the CAs of all trunks into one file, and give each trunk its tls.name",
            )


def _find_shared_contacts(site: model.Site) -> Iterator[errors.Problem]:
    """Kamailio keeps registrations by the user part of their Contact."""
    trunk_of: dict[str, str] = {}
    for name, trunk in site.trunks.items():
        if trunk.registration is None:
            continue
        contact = trunk.registration.contact_user or trunk.registration.user
        first = trunk_of.setdefault(contact, name)
        if first != name:
            yield errors.Problem(
                "contact-twice",
                f"trunks {first} and {name} both register the Contact {contact}",
                ("trunks", name, "registration"),
                hint="give one of them another contact_user",
            )


def find_hints(site: model.Site) -> Iterator[errors.Problem]:
    """What is allowed but probably not meant: keys that anybody on the way can read."""
    for name, trunk in site.trunks.items():
        if trunk.srtp and trunk.transport is not model.Transport.TLS:
            yield errors.Problem(
                "srtp-in-the-clear",
                f"trunk {name} encrypts its audio with keys that travel by {trunk.transport}",
                ("trunks", name, "srtp"),
                hint="who can read the signalling can hear the calls; use transport=tls",
            )


RULES: tuple[Callable[[model.Site], Iterator[errors.Problem]], ...] = (
    _find_mixed_orders,
    _find_tls_listener_clashes,
    _find_unclear_trust,
    _find_shared_contacts,
)
"""Each finds Problems of one kind."""
