"""Site + engine facts -> views: every number, order and name of the rendered files is fixed here.

Templates only place what stands in a view. Differences between engine versions become facts
in ``EngineFacts`` and from there values in a view, never conditions on versions in a template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.render import units
from orchestrator.site import microsoft, model

PRODUCT = "sbcctl"
"""What User-Agent and Server say towards Teams (SIG-34)."""

TEAMS_SET = 1
"""Dispatcher set of Microsoft's names."""

FIRST_TRUNK_SET = 1000
"""Dispatcher sets of trunks begin here; which one a trunk has follows from its name alone."""

_TRUNK_SETS = 1_000_000

TEAMS_GROUP = 1
"""Address group of Microsoft's networks in the permissions module."""

TRUNK_GROUP = 2
"""Address group of the trunks' gateways; each carries its trunk's name as a tag."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What was found out about the engines that will read the files.

    Attributes:
        kamailio: Version, for example ``(5, 6, 3)``.
        rtpengine: Version, for example ``(10, 5)``.
        tls: The TLS module to load.
        module_path: Directory of Kamailio's modules.
    """

    kamailio: tuple[int, int, int]
    rtpengine: tuple[int, int]
    tls: Literal["tls", "tls_wolfssl"]
    module_path: str = "/usr/lib/x86_64-linux-gnu/kamailio/modules"

    @property
    def one_tls_worker(self) -> bool:
        """True where more than one TLS worker crashes (engines2.md 1)."""
        return self.kamailio < (6, 0, 0)

    @property
    def drops_unnamed_listener(self) -> bool:
        """True where a listener is dropped when its name does not resolve (engines.md 4)."""
        return self.kamailio < (6, 0, 0)

    @property
    def verifies_server_auth_only(self) -> bool:
        """True where a verified chain tells Microsoft from a forger (engines2.md 2)."""
        return self.tls == "tls_wolfssl"


DEBIAN_12 = EngineFacts(kamailio=(5, 6, 3), rtpengine=(10, 5), tls="tls")
DEBIAN_13 = EngineFacts(kamailio=(6, 0, 1), rtpengine=(12, 5), tls="tls_wolfssl")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the files will live: absolute directories without a slash at the end.

    Attributes:
        state: Generations, certificates, keys; kept.
        run: Sockets and pid files; gone after a boot.
    """

    state: str
    run: str

    @property
    def current(self) -> str:
        """The generation that is current."""
        return f"{self.state}/current"

    @property
    def certificate(self) -> str:
        """Directory of the certificate that is served: chain.pem and key.pem."""
        return f"{self.state}/certificates/current"

    @property
    def kamailio_run(self) -> str:
        """Directory of Kamailio's socket: the only place it writes, and nobody else does."""
        return f"{self.run}/kamailio"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The resolved secrets of a site.

    Attributes:
        contact_key: Signs hidden Contacts and dialogs; made once for each site.
        phones: Password by SIP user name; a phone without one gets an entry that fits none.
    """

    contact_key: str
    phones: Mapping[str, str]


UNRESOLVED = "unresolved"
"""Stands in place of a secret where files are rendered without a look at the machine."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of an htable."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Table:
    """One htable and what is in it, sorted by key."""

    name: str
    rows: tuple[Row, ...]
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """One line of dispatcher.list."""

    set_id: int
    uri: str
    socket: str
    ping_from: str
    priority: int


@dataclass(frozen=True, slots=True)
class Address:
    """One line of addresses.list: who may speak to us from where."""

    group: int
    network: str
    prefix: int
    tag: str


@dataclass(frozen=True, slots=True)
class Media:
    """RTPEngine flags by direction, as the rtpengine module takes them (teams.md 11)."""

    offer_to_trunk: str
    answer_to_teams: str
    offer_to_teams: str
    answer_to_trunk: str
    offer_local: str
    answer_local: str


@dataclass(frozen=True, slots=True)
class KamailioView:
    """Everything the Kamailio templates place."""

    site: str
    unit: units.Unit
    product: str
    facts: EngineFacts
    paths: Paths
    fqdn: str
    teams_port: int
    teams_bind: str
    trunk_bind: str
    sip_port: int
    realm: str
    phones: bool
    peer_name_regex: str
    trusted_roots: str
    own_roots: bool
    ciphers: str
    options_interval: int
    udp_workers: int
    tcp_workers: int
    shared_memory: int
    ng_port: int
    media: Media
    destinations: tuple[Destination, ...]
    addresses: tuple[Address, ...]
    tables: tuple[Table, ...]
    route_files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RtpengineView:
    """Everything the RTPEngine templates place."""

    site: str
    unit: units.Unit
    paths: Paths
    interfaces: str
    ng_port: int
    first_port: int
    last_port: int


def _media(facts: EngineFacts) -> Media:
    if facts.rtpengine >= (11, 2):
        suites = "SDES-only-AES_CM_128_HMAC_SHA1_80"
    else:
        suites = " ".join(f"SDES-no-{suite}" for suite in microsoft.UNWANTED_SUITES)
    always = "replace-origin replace-session-connection port-latching ICE=remove"
    plain = f"RTP/AVP {always}"
    secure = f"RTP/SAVP {always} DTLS=off SDES-lifetime {suites}"
    strip = "codec-strip-SILK codec-strip-SIREN codec-strip-x-msrta codec-strip-RED"
    return Media(
        offer_to_trunk=f"{plain} rtcp-mux-demux direction=pub direction=lan {strip}",
        answer_to_teams=f"{secure} rtcp-mux-accept",
        offer_to_teams=f"{secure} rtcp-mux-offer direction=lan direction=pub",
        answer_to_trunk=plain,
        offer_local=f"{plain} rtcp-mux-demux direction=lan direction=lan",
        answer_local=plain,
    )


def trunk_sets(names: Iterable[str]) -> dict[str, int]:
    """Return the dispatcher set of each trunk.

    A set follows from the trunk's name, so that a new trunk never moves another one to a set
    that was somebody else's while Kamailio reads tables and destinations one after the other.
    Two names that meet (one in a million) are told apart in alphabetical order.
    """
    sets: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(names):
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % _TRUNK_SETS
        while number in taken:
            number = (number + 1) % _TRUNK_SETS
        taken.add(number)
        sets[name] = FIRST_TRUNK_SET + number
    return sets


def _destinations(site: model.Site) -> tuple[Destination, ...]:
    teams = [
        Destination(
            set_id=TEAMS_SET,
            uri=f"sip:{name}:5061;transport=tls",
            socket="teams",
            ping_from=f"sip:{site.teams.fqdn}",
            priority=100 - place,
        )
        for place, name in enumerate(microsoft.names(site))
    ]
    sets = trunk_sets(site.trunks)
    trunks = [
        Destination(
            set_id=sets[name],
            uri=gateway.uri,
            socket=f"trunk_{gateway.transport}",
            ping_from=f"sip:{site.node.trunk_bind}",
            priority=100 - place,
        )
        for name, trunk in sorted(site.trunks.items())
        for place, gateway in enumerate(trunk.gateways)
    ]
    return tuple(teams + trunks)


def _addresses(site: model.Site) -> tuple[Address, ...]:
    found = []
    for network in microsoft.networks(site):
        address, _, prefix = network.partition("/")
        found.append(Address(group=TEAMS_GROUP, network=address, prefix=int(prefix), tag="teams"))
    for name, trunk in sorted(site.trunks.items()):
        hosts = dict.fromkeys(gateway.host for gateway in trunk.gateways)
        found += [Address(group=TRUNK_GROUP, network=host, prefix=32, tag=name) for host in hosts]
    return tuple(found)


def _digest_ha1(user: str, realm: str, password: str | None) -> str:
    """Return HA1 of RFC 2617 section 3.2.2.2: what the registrar compares with."""
    if password is None:
        return UNRESOLVED
    return hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def _tables(site: model.Site, secrets: Secrets) -> tuple[Table, ...]:
    phones = sorted(site.phones.users.items()) if site.phones else []
    realm = site.phones.realm if site.phones else site.teams.fqdn
    trunks = sorted(site.trunks.items())
    prefixes = [Row(key=number, value=name) for name, trunk in trunks for number in trunk.numbers]
    prefixes += [Row(key="default", value=name) for name, trunk in trunks if not trunk.numbers]
    return (
        Table(
            name="auth",
            rows=tuple(
                Row(key=user, value=_digest_ha1(user, realm, secrets.phones.get(user)))
                for user, _ in phones
            ),
            secret=True,
        ),
        Table(name="caller", rows=tuple(Row(key=user, value=p.number) for user, p in phones)),
        Table(name="kind", rows=tuple(Row(key=name, value=trunk.kind) for name, trunk in trunks)),
        Table(name="phone", rows=tuple(Row(key=p.number, value=user) for user, p in phones)),
        Table(name="prefix", rows=tuple(sorted(prefixes, key=lambda row: row.key))),
        Table(name="secret", rows=(Row(key="contact", value=secrets.contact_key),), secret=True),
        Table(
            name="trunk",
            rows=tuple(
                Row(key=n, value=str(number))
                for n, number in sorted(trunk_sets(site.trunks).items())
            ),
        ),
    )


def kamailio_view(
    site: model.Site, *, facts: EngineFacts, paths: Paths, secrets: Secrets
) -> KamailioView:
    """Decide everything Kamailio's files say."""
    routes = ["gate", "dialog", "identity", "calls", "media", "events"]
    if site.phones:
        routes.append("phones")
    node = site.node
    return KamailioView(
        site=site.site,
        unit=units.kamailio_unit(
            site, paths.kamailio_run, needs_own_name=facts.drops_unnamed_listener
        ),
        product=PRODUCT,
        facts=facts,
        paths=paths,
        fqdn=site.teams.fqdn,
        teams_port=site.teams.port,
        teams_bind=node.teams_bind,
        trunk_bind=node.trunk_bind,
        sip_port=node.sip_port,
        realm=site.phones.realm if site.phones else site.teams.fqdn,
        phones=site.phones is not None,
        peer_name_regex=microsoft.peer_name_regex(site),
        trusted_roots=site.teams.trusted_roots or f"{paths.current}/kamailio/roots.pem",
        own_roots=site.teams.trusted_roots is None,
        ciphers=":".join(
            (microsoft.WOLFSSL_CIPHERS if facts.tls == "tls_wolfssl" else ()) + microsoft.CIPHERS
        ),
        options_interval=site.teams.options_interval,
        udp_workers=site.engines.workers,
        tcp_workers=1 if facts.one_tls_worker else site.engines.workers,
        shared_memory=site.engines.shared_memory,
        ng_port=model.NG_PORT,
        media=_media(facts),
        destinations=_destinations(site),
        addresses=_addresses(site),
        tables=_tables(site, secrets),
        route_files=tuple(sorted(routes)),
    )


def _interfaces(node: model.Node) -> str:
    """Return RTPEngine's interfaces: NAME/ADDRESS, with !ADVERTISED behind a 1:1 NAT."""
    public = str(node.public_address)
    towards_teams = node.teams_bind if node.teams_bind == public else f"{node.teams_bind}!{public}"
    return f"pub/{towards_teams};lan/{node.trunk_bind}"


def rtpengine_view(site: model.Site, *, facts: EngineFacts, paths: Paths) -> RtpengineView:
    """Decide everything RTPEngine's configuration says."""
    del facts  # both generations read the same options
    return RtpengineView(
        site=site.site,
        unit=units.rtpengine_unit(site),
        paths=paths,
        interfaces=_interfaces(site.node),
        ng_port=model.NG_PORT,
        first_port=site.media.ports.first,
        last_port=site.media.ports.last,
    )
