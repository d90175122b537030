"""Put the actors on the stage: Microsoft, PBXs, carriers, phones, in the places of ``addresses``.

WHO lives where is in ``addresses``; how sockets come into a namespace is the world's business.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from orchestrator.lab import (
    addresses,
    agent,
    endpoint,
    evidence,
    journal,
    pbx,
    phone,
    regions,
    registrar,
    teams,
    tls,
    transport,
    trouble,
)
from orchestrator.sip import digest

# The actors carry the names of the modules that make them.
Teams = teams.Teams
Pbx = pbx.Pbx
Phone = phone.Phone
Registrar = registrar.Registrar
Trouble = trouble.Trouble

SocketIn = Callable[
    [str, socket.AddressFamily, socket.SocketKind, transport.Address], socket.socket
]
"""Makes a non-blocking socket: (namespace, family, type, address to bind) -> socket."""

CONTEXT = evidence.Context(
    fqdn=addresses.SBC_FQDN,
    port=addresses.SBC_TEAMS_PORT,
    hidden=(
        *addresses.NETWORKS[addresses.Link.LAN],
        *addresses.NETWORKS[addresses.Link.HOME],
        "127.0.0.0/8",
    ),
    refer=(addresses.BRANCH_NUMBER,),
)
"""The SBC as Microsoft's tenant and the rules know it."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the stage stands on.

    Attributes:
        sockets: Makes sockets inside the lab's namespaces.
        microsoft: Microsoft's certificate and key, and the roots above the SBC's certificate.
        gcc_high: The same of its cloud GCC High.
        dod: The same of its cloud for the DoD.
        secure: The same of the PBX that speaks TLS.
        trouble: Breaks the world on purpose.
    """

    sockets: SocketIn
    microsoft: tls.Identity
    gcc_high: tls.Identity
    dod: tls.Identity
    secure: tls.Identity
    trouble: trouble.Trouble


@dataclass(frozen=True, slots=True)
class Lab:
    """Everybody on the stage, and what passed between them.

    Attributes:
        teams: Microsoft.
        pbx: The company's PBX in its main office: UDP.
        phone: The company's phone at the reception.
        log: Every message of every actor.
        branch: A second PBX: TCP.
        secure: A third PBX: TLS and encrypted audio.
        carrier_a: The first gateway of a carrier: UDP.
        carrier_b: Its second gateway.
        registrar: A carrier that wants registration and digest.
        desk: A second phone beside the first: TCP.
        home: A third phone, behind a router that translates addresses.
        gcc_high: Microsoft's cloud for the government, of example 07.
        dod: Microsoft's cloud for the DoD, of example 08.
        trouble: Breaks the world on purpose.
    """

    teams: Teams
    pbx: Pbx
    phone: Phone
    log: agent.Log
    branch: Pbx
    secure: Pbx
    carrier_a: Pbx
    carrier_b: Pbx
    registrar: Registrar
    desk: Phone
    home: Phone
    gcc_high: Teams
    dod: Teams
    trouble: Trouble
    endpoints: tuple[endpoint.Endpoint, ...] = field(init=False)
    """Everybody but Microsoft."""

    def __post_init__(self) -> None:
        trunks = (self.pbx, self.branch, self.secure, self.carrier_a, self.carrier_b)
        others = (self.registrar, self.phone, self.desk, self.home)
        object.__setattr__(self, "endpoints", (*trunks, *others))

    @property
    def everybody(self) -> tuple[Teams | endpoint.Endpoint, ...]:
        """All actors."""
        return (self.teams, self.gcc_high, self.dod, *self.endpoints)

    @property
    def complaints(self) -> tuple[journal.Journal[evidence.Broken], ...]:
        """The rules that each of them found broken."""
        clouds = (self.teams, self.gcc_high, self.dod)
        return (
            *(known.books.broken for known in clouds),
            *(known.broken for known in self.endpoints),
        )


@asynccontextmanager
async def open_lab(ground: Ground) -> AsyncIterator[Lab]:
    """All actors, listening; they are closed when the context is left.

    Raises:
        OSError: An address is taken or is not there.
    """
    log: agent.Log = journal.Journal()
    actors = _cast(ground, log)
    try:
        for actor in actors.everybody:
            await actor.open()
        yield actors
    finally:
        for actor in actors.everybody:
            await actor.close()


def _cast(ground: Ground, log: agent.Log) -> Lab:
    place = addresses.Namespace

    def trunk(namespace: str, settings: endpoint.Settings) -> pbx.Pbx:
        return pbx.Pbx(settings, _within(ground.sockets, namespace), context=CONTEXT, log=log)

    def handset(namespace: str, settings: endpoint.Settings) -> phone.Phone:
        return phone.Phone(settings, _within(ground.sockets, namespace), context=CONTEXT, log=log)

    return Lab(
        teams=_teams(ground, log),
        pbx=trunk(place.PBX, _pbx("PBX", addresses.PBX_ADDRESS, addresses.PBX_NUMBER)),
        phone=handset(place.PHONE, _phone("phone", addresses.PHONE_ADDRESS, addresses.PHONE_USER)),
        log=log,
        branch=trunk(
            place.BRANCH,
            _pbx("branch", addresses.BRANCH_ADDRESS, addresses.BRANCH_NUMBER, transport="tcp"),
        ),
        secure=trunk(place.SECURE, _secure(ground.secure)),
        carrier_a=trunk(
            place.CARRIER,
            _pbx("carrier-a", addresses.CARRIER_A, addresses.PSTN_NUMBER, outsider=True),
        ),
        carrier_b=trunk(
            place.CARRIER,
            _pbx("carrier-b", addresses.CARRIER_B, addresses.PSTN_NUMBER, outsider=True),
        ),
        registrar=registrar.Registrar(
            _registrar(), _within(ground.sockets, place.REGISTRAR), context=CONTEXT, log=log
        ),
        desk=handset(
            place.DESK,
            _phone("desk", addresses.DESK_ADDRESS, addresses.DESK_USER, transport="tcp"),
        ),
        home=handset(place.HOME, _phone("home", addresses.HOME_ADDRESS, addresses.HOME_USER)),
        gcc_high=_cloud(
            ground,
            log,
            ground.gcc_high,
            (addresses.GCC_HIGH_HOST, addresses.GCC_HIGH_ADDRESS, addresses.GCC_HIGH_MEDIA),
            regions.GCC_HIGH,
        ),
        dod=_cloud(
            ground,
            log,
            ground.dod,
            (addresses.DOD_HOST, addresses.DOD_ADDRESS, addresses.DOD_MEDIA),
            regions.DOD,
        ),
        trouble=ground.trouble,
    )


def _within(sockets: SocketIn, namespace: str) -> transport.Sockets:
    return lambda family, kind, bind: sockets(namespace, family, kind, bind)


def _teams(ground: Ground, log: agent.Log) -> teams.Teams:
    settings = teams.Settings(
        hosts=addresses.TEAMS_HOSTS,
        port=addresses.TEAMS_PORT,
        media=addresses.TEAMS_MEDIA,
        names=addresses.HOSTS,
        identity=ground.microsoft,
        context=CONTEXT,
        spare=addresses.TEAMS_SPARE,
        tenants={
            addresses.CONTOSO: (addresses.CONTOSO_NUMBER,),
            addresses.FABRIKAM: (addresses.FABRIKAM_NUMBER,),
            addresses.ADATUM: (addresses.ADATUM_NUMBER,),
            addresses.NORTHWIND: (addresses.NORTHWIND_NUMBER,),
        },
    )
    return teams.Teams(settings, _within(ground.sockets, addresses.Namespace.TEAMS), log)


def _cloud(
    ground: Ground,
    log: agent.Log,
    identity: tls.Identity,
    place: tuple[str, str, str],
    region: regions.Region,
) -> teams.Teams:
    """Microsoft in a cloud of its own: one name with its address, and where the media are."""
    host, address, media = place
    settings = teams.Settings(
        hosts={host: address},
        port=addresses.TEAMS_PORT,
        media=media,
        names=addresses.HOSTS,
        identity=identity,
        context=CONTEXT,
        regions=(region,),
    )
    return teams.Teams(settings, _within(ground.sockets, addresses.Namespace.TEAMS), log)


def _pbx(
    name: str, address: str, number: str, *, transport: str = "udp", outsider: bool = False
) -> endpoint.Settings:
    return endpoint.Settings(
        name=name,
        address=address,
        port=addresses.SIP_PORT,
        contact=pbx.contact_of(number, address, addresses.SIP_PORT, transport),
        sbc=f"{addresses.SBC_LAN}:{addresses.SBC_SIP_PORT}",
        product=pbx.PRODUCT,
        domain=address,
        transport=transport,
        outsider=outsider,
    )


def _secure(identity: tls.Identity) -> endpoint.Settings:
    address, port = addresses.SECURE_ADDRESS, addresses.SECURE_PORT
    return endpoint.Settings(
        name="secure",
        address=address,
        port=port,
        contact=pbx.contact_of(addresses.SECURE_NUMBER, address, port, "tls"),
        sbc=f"{addresses.SBC_FQDN}:{addresses.SBC_SIPS_PORT}",
        product=pbx.PRODUCT,
        domain=address,
        # The company's own DNS: inside, the SBC's name leads to its address on the LAN.
        names={addresses.SBC_FQDN: addresses.SBC_LAN},
        transport="tls",
        identity=identity,
        srtp=True,
    )


def _registrar() -> endpoint.Settings:
    address, port = addresses.REGISTRAR_ADDRESS, addresses.SIP_PORT
    return endpoint.Settings(
        name="registrar",
        address=address,
        port=port,
        contact=pbx.contact_of(addresses.REGISTRAR_NUMBER, address, port),
        sbc=f"{addresses.SBC_LAN}:{addresses.SBC_SIP_PORT}",
        product=registrar.PRODUCT,
        domain=addresses.REGISTRAR_REALM,
        account=digest.Account(addresses.REGISTRAR_USER, addresses.REGISTRAR_PASSWORD),
        names=addresses.HOSTS,
        outsider=True,
    )


def _phone(name: str, address: str, user: str, *, transport: str = "udp") -> endpoint.Settings:
    return endpoint.Settings(
        name=name,
        address=address,
        port=addresses.PHONE_PORT,
        contact=phone.contact_of(user, address, addresses.PHONE_PORT, transport),
        sbc=f"{addresses.SBC_LAN}:{addresses.SBC_SIP_PORT}",
        product=phone.PRODUCT,
        domain=addresses.PHONE_REALM,
        transport=transport,
        account=digest.Account(user, addresses.PHONE_PASSWORD),
    )
