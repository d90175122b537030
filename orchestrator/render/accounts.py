"""What Kamailio reads about our accounts at trunks: proofs for calls, registrations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.render import tables
from orchestrator.site import model

UNRESOLVED = "unresolved"
"""Stands in place of a password where files are rendered without a look at the machine."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One row of the table ``uacreg``.

    Attributes:
        contact_user: The user part of our Contact; Kamailio knows the registration by it.
        user: The user that is registered.
        domain: The domain of that user.
        auth_user: The user of the proof.
        password: Its password.
        realm: The realm it is for, or empty for any.
        proxy: The URI that REGISTER is sent to.
        expires: How long it shall last, in seconds.
        contact: Host, port and transport of our Contact.
        socket: The socket it is sent from.
    """

    contact_user: str
    user: str
    domain: str
    auth_user: str
    password: str
    realm: str
    proxy: str
    expires: int
    contact: str
    socket: str


def contact_user(held: model.Registration) -> str:
    """The user part of the Contact that is registered."""
    return held.contact_user or held.user


def digest_table(site: model.Site, passwords: Mapping[str, str]) -> tables.Table:
    """The table ``digest``: ``TRUNK/user``, ``TRUNK/password`` and perhaps ``TRUNK/realm``.

    Args:
        site: The site.
        passwords: By trunk; one without gets an entry that fits nowhere.
    """
    entries: dict[str, str] = {}
    for name, trunk in site.trunks.items():
        if trunk.proof is None:
            continue
        entries[f"{name}/user"] = trunk.proof.user
        entries[f"{name}/password"] = passwords.get(name, UNRESOLVED)
        if trunk.proof.realm:
            entries[f"{name}/realm"] = trunk.proof.realm
    return tables.table("digest", entries, secret=True)


def registrations(site: model.Site, passwords: Mapping[str, str]) -> tuple[Registration, ...]:
    """The rows of ``uacreg``, by the user part of the Contact.

    Args:
        site: The site.
        passwords: Of the registrations, by trunk.
    """
    rows = [
        _registration(site.node, trunk, trunk.registration, passwords.get(name, UNRESOLVED))
        for name, trunk in site.trunks.items()
        if trunk.registration
    ]
    return tuple(sorted(rows, key=lambda row: row.contact_user))


def _registration(
    node: model.Node, trunk: model.Trunk, held: model.Registration, password: str
) -> Registration:
    # The first in the order of the list: a registrar is one machine, or looks like one.
    gateway = trunk.gateways[0]
    secured = gateway.transport is model.Transport.TLS
    here = f"{node.trunk_bind}:{node.tls_port if secured else node.sip_port}"
    return Registration(
        contact_user=contact_user(held),
        user=held.user,
        domain=held.registrar or gateway.host,
        auth_user=held.auth_user or held.user,
        password=password,
        realm=held.realm or "",
        proxy=gateway.uri,
        expires=held.expires,
        contact=f"{here};transport={gateway.transport}",
        socket=f"{gateway.transport}:{here}",
    )
