"""Site + engine facts -> views: every number, order and name of the rendered files is fixed here.

Templates only place what stands in a view. Differences between engine versions become facts
in ``EngineFacts`` and from there values in a view, never conditions on versions in a template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.render import accounts, hosting, routes, tables, trunks, units
from orchestrator.site import microsoft, model, tenant_rules

PRODUCT = "sbcctl"
"""What User-Agent and Server say towards Teams (SIG-34)."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What was found out about the engines that will read the files.

    Attributes:
        kamailio: Version, for example ``(5, 6, 3)``.
        rtpengine: Version, for example ``(10, 5)``.
        module_path: Directory of Kamailio's modules.
    """

    kamailio: tuple[int, int, int]
    rtpengine: tuple[int, int]
    module_path: str = "/usr/lib/x86_64-linux-gnu/kamailio/modules"

    @property
    def one_tls_worker(self) -> bool:
        """True where more than one TLS worker crashes (engines2.md 1)."""
        return self.kamailio < (6, 0, 0)

    @property
    def own_tls_workers(self) -> bool:
        """True where each TLS listener gets a worker of its own (record 0027).

        Before, the one worker for TCP and TLS is that one.
        """
        return not self.one_tls_worker

    @property
    def drops_unnamed_listener(self) -> bool:
        """True where a listener is dropped when its name does not resolve (engines.md 4)."""
        return self.kamailio < (6, 0, 0)

    @property
    def finds_media_by_timer(self) -> bool:
        """True where a timer alone tries an RTPEngine again that was away; before, a call does."""
        return self.kamailio >= (6, 0, 0)


DEBIAN_12 = EngineFacts(kamailio=(5, 6, 3), rtpengine=(10, 5))
DEBIAN_13 = EngineFacts(kamailio=(6, 0, 1), rtpengine=(12, 5))


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
        trunks: Password of our proof by trunk; one without gets an entry that fits nowhere.
        registrations: Password of our registration by trunk.
    """

    contact_key: str
    phones: Mapping[str, str]
    trunks: Mapping[str, str] = field(default_factory=dict)
    registrations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TlsProfile:
    """How Kamailio speaks TLS on connections of one kind.

    Attributes:
        kind: Whose connections: ``teams``, ``tenant`` or ``trunk``.
        end: Which end Kamailio is: ``client`` where it dials, ``server`` where it is dialled.
        bind: Its own address on them; empty for all that no other profile is for.
        port: Its own port on them, 0 for any.
        pair: What the files of its certificate are called, up to ``chain.pem`` and ``key.pem``.
        roots: The file of CAs that may vouch for the other side.
    """

    kind: str
    end: str
    bind: str
    port: int
    pair: str
    roots: str


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
    tls_port: int
    trunk_tls: bool
    tls_profiles: tuple[TlsProfile, ...]
    proves: bool
    registrations: tuple[accounts.Registration, ...]
    realm: str
    phones: bool
    hosting: bool
    counting: bool
    full_trunks: tuple[trunks.FullTrunk, ...]
    domains: tuple[str, ...]
    peer_name_regex: str
    own_roots: bool
    ciphers: str
    options_interval: int
    ring_within: int
    udp_workers: int
    tcp_workers: int
    shared_memory: int
    private_memory: int
    ng_port: int
    destinations: tuple[trunks.Destination, ...]
    addresses: tuple[trunks.Address, ...]
    tables: tuple[tables.Table, ...]
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


def _digest_ha1(user: str, realm: str, password: str | None) -> str:
    """Return HA1 of RFC 2617 section 3.2.2.2: what the registrar compares with."""
    if password is None:
        return accounts.UNRESOLVED
    return hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def _tables(site: model.Site, facts: EngineFacts, secrets: Secrets) -> tuple[tables.Table, ...]:
    users = site.phones.users if site.phones else {}
    realm = site.phones.realm if site.phones else site.teams.fqdn
    calls = routes.compile_site(site)
    proofs = {user: _digest_ha1(user, realm, secrets.phones.get(user)) for user in users}
    found = (
        trunks.allowed_table(site),
        tables.table("auth", proofs, secret=True),
        tables.table("caller", {user: phone.number for user, phone in users.items()}),
        trunks.media_table(site, facts.rtpengine),
        trunks.party_table(site),
        tables.table("phone", {phone.number: user for user, phone in users.items()}),
        tables.table("route", calls.route),
        tables.table("secret", {"contact": secrets.contact_key}, secret=True),
        tables.table("target", calls.target),
        trunks.trunk_table(site),
        *((hosting.tenant_table(site), hosting.number_table(site)) if site.tenants else ()),
        *(
            (accounts.digest_table(site, secrets.trunks),)
            if any(trunk.proof for trunk in site.trunks.values())
            else ()
        ),
    )
    return tuple(sorted(found, key=lambda each: each.name))


def _counts(site: model.Site) -> bool:
    """Whether calls are counted: a tenant may get a limit while they stand."""
    return bool(site.tenants) or any(trunk.limits for trunk in site.trunks.values())


def _tls_profiles(site: model.Site, paths: Paths) -> tuple[TlsProfile, ...]:
    """How TLS is spoken; a certificate is shown to who dials and to whom we dial (TLS-5)."""
    shown = f"{paths.certificate}/"
    theirs = site.teams.trusted_roots or f"{paths.current}/kamailio/roots.pem"
    found = [TlsProfile("teams", end, "", 0, shown, theirs) for end in ("server", "client")]
    for own in trunks.full_trunks(site):
        for end, port in (("server", site.teams.port), ("client", 0)):
            pair = f"{shown}{own.fqdn}."
            found.append(TlsProfile("tenant", end, own.bind, port, pair, theirs))
    if trunks.speaks_tls(site):
        bind, roots = site.node.trunk_bind, trunks.roots(site)
        found.append(TlsProfile("trunk", "client", bind, 0, shown, roots))
    return tuple(found)


def kamailio_view(
    site: model.Site, *, facts: EngineFacts, paths: Paths, secrets: Secrets
) -> KamailioView:
    """Decide everything Kamailio's files say."""
    files = ["gate", "dialog", "identity", "calls", "transfer", "routing", "media", "events"]
    files += ["callers", "datacentres", "location", "music", "numbers", "retired"]
    if site.phones:
        files.append("phones")
    if site.tenants:
        files.append("tenants")
    if _counts(site):
        files.append("limits")
    proves = any(trunk.proof for trunk in site.trunks.values())
    if proves:
        files.append("proofs")
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
        tls_port=node.tls_port,
        trunk_tls=trunks.speaks_tls(site),
        tls_profiles=_tls_profiles(site, paths),
        proves=proves,
        registrations=accounts.registrations(site, secrets.registrations),
        realm=site.phones.realm if site.phones else site.teams.fqdn,
        phones=site.phones is not None,
        hosting=bool(site.tenants),
        counting=_counts(site),
        full_trunks=trunks.full_trunks(site),
        domains=hosting.domains(site),
        peer_name_regex=microsoft.peer_name_regex(site),
        own_roots=site.teams.trusted_roots is None,
        ciphers=":".join(microsoft.CIPHERS),
        options_interval=site.teams.options_interval,
        # A second less than Teams waits, so that our 503 is there before its own 408 (SIG-25).
        ring_within=site.teams.failover_time - 1,
        udp_workers=site.engines.workers,
        # The listeners of tenants share one worker: one for each would be a process for each,
        # with the certificates of all of them in it; and in two a key signs twice (0027, 0038).
        tcp_workers=1 if facts.one_tls_worker or site.full_trunks else site.engines.workers,
        shared_memory=site.engines.shared_memory,
        private_memory=tenant_rules.private_memory(site),
        ng_port=model.NG_PORT,
        destinations=trunks.destinations(site),
        addresses=trunks.addresses(site),
        tables=_tables(site, facts, secrets),
        route_files=tuple(sorted(files)),
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
