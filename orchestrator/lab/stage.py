"""Put the actors on the stage: Microsoft, the PBX and the phone, in the places of ``addresses``.

WHO lives where is in ``addresses``; how sockets come into a namespace is the world's business.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestrator.lab import (
    addresses,
    agent,
    endpoint,
    evidence,
    journal,
    pbx,
    phone,
    teams,
    tls,
    transport,
)
from orchestrator.sip import digest

SocketIn = Callable[
    [str, socket.AddressFamily, socket.SocketKind, transport.Address], socket.socket
]
"""Makes a non-blocking socket: (namespace, family, type, address to bind) -> socket."""

CONTEXT = evidence.Context(
    fqdn=addresses.SBC_FQDN,
    port=addresses.SBC_TEAMS_PORT,
    hidden=(*addresses.NETWORKS[addresses.Link.LAN], "127.0.0.0/8"),
)
"""The SBC as Microsoft's tenant and the rules know it."""


@dataclass(frozen=True, slots=True)
class Lab:
    """Everybody on the stage, and what passed between them.

    Attributes:
        teams: Microsoft.
        pbx: The company's PBX.
        phone: The company's phone.
        log: Every message of every actor.
    """

    teams: teams.Teams
    pbx: pbx.Pbx
    phone: phone.Phone
    log: agent.Log


@asynccontextmanager
async def open_lab(sockets: SocketIn, identity: tls.Identity) -> AsyncIterator[Lab]:
    """All actors, listening; they are closed when the context is left.

    Args:
        sockets: Makes sockets inside the lab's namespaces.
        identity: Microsoft's certificate and key, and the roots above the SBC's certificate.

    Raises:
        OSError: An address is taken or is not there.
    """
    log: agent.Log = journal.Journal()
    actors = Lab(
        teams=_teams(sockets, identity, log),
        pbx=pbx.Pbx(_pbx(), _within(sockets, addresses.Namespace.PBX), context=CONTEXT, log=log),
        phone=phone.Phone(
            _phone(), _within(sockets, addresses.Namespace.PHONE), context=CONTEXT, log=log
        ),
        log=log,
    )
    everybody = (actors.teams, actors.pbx, actors.phone)
    try:
        for actor in everybody:
            await actor.open()
        yield actors
    finally:
        for actor in everybody:
            await actor.close()


def _within(sockets: SocketIn, namespace: str) -> transport.Sockets:
    return lambda family, kind, bind: sockets(namespace, family, kind, bind)


def _teams(sockets: SocketIn, identity: tls.Identity, log: agent.Log) -> teams.Teams:
    settings = teams.Settings(
        hosts=addresses.TEAMS_HOSTS,
        port=addresses.TEAMS_PORT,
        media=addresses.TEAMS_MEDIA,
        names=addresses.HOSTS,
        identity=identity,
        context=CONTEXT,
    )
    return teams.Teams(settings, _within(sockets, addresses.Namespace.TEAMS), log)


def _pbx() -> endpoint.Settings:
    return endpoint.Settings(
        name="PBX",
        address=addresses.PBX_ADDRESS,
        port=addresses.PBX_PORT,
        contact=pbx.contact_of(addresses.PBX_NUMBER, addresses.PBX_ADDRESS, addresses.PBX_PORT),
        sbc=f"{addresses.SBC_LAN}:{addresses.SBC_SIP_PORT}",
        product=pbx.PRODUCT,
        domain=addresses.PBX_ADDRESS,
    )


def _phone() -> endpoint.Settings:
    return endpoint.Settings(
        name="phone",
        address=addresses.PHONE_ADDRESS,
        port=addresses.PHONE_PORT,
        contact=phone.contact_of(
            addresses.PHONE_USER, addresses.PHONE_ADDRESS, addresses.PHONE_PORT
        ),
        sbc=f"{addresses.SBC_LAN}:{addresses.SBC_SIP_PORT}",
        product=phone.PRODUCT,
        domain=addresses.PHONE_REALM,
        account=digest.Account(addresses.PHONE_USER, addresses.PHONE_PASSWORD),
    )
