"""Site + engine facts -> views: every number, order and name of the rendered files is fixed here.

Templates only place what stands in a view. Differences between engine versions become facts
in ``EngineFacts`` and from there values in a view, never conditions on versions in a template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.site import model

NG_PORT = 2223
"""Local UDP port on which RTPEngine listens for ng commands."""

TEAMS_SET = 1
"""Dispatcher set of Microsoft's names."""

FIRST_TRUNK_SET = 1000
"""Dispatcher set of the first trunk in alphabetical order; the next ones count up."""

TEAMS_GROUP = 1
"""Address group of Microsoft's networks in the permissions module."""

TRUNK_GROUP = 2
"""Address group of the trunks' gateways; each carries its trunk's name as a tag."""

_TEAMS_NAMES = {
    model.Cloud.COMMERCIAL: (
        "sip.pstnhub.microsoft.com",
        "sip2.pstnhub.microsoft.com",
        "sip3.pstnhub.microsoft.com",
    ),
    model.Cloud.GCC_HIGH: ("sip.pstnhub.gov.teams.microsoft.us",),
    model.Cloud.DOD: ("sip.pstnhub.dod.teams.microsoft.us",),
}
"""Microsoft's names in the order they are tried (EP-1, EP-2)."""

_TEAMS_NETWORKS = {
    model.Cloud.COMMERCIAL: ("52.112.0.0/14", "52.122.0.0/15"),
    model.Cloud.GCC_HIGH: ("52.127.88.0/21",),
    model.Cloud.DOD: ("52.127.64.0/21",),
}
"""Networks Microsoft signals from (EP-4)."""

_UNWANTED_SUITES = (
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_32",
    "F8_128_HMAC_SHA1_80",
    "F8_128_HMAC_SHA1_32",
    "NULL_HMAC_SHA1_80",
    "NULL_HMAC_SHA1_32",
)
"""What RTPEngine 10.5 must be told not to offer, one by one (MED-3)."""


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
    def tls_reload_is_safe(self) -> bool:
        """True where tls.reload does not crash under handshakes (engines2.md 1, 3)."""
        return self.kamailio >= (6, 0, 0)

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


@dataclass(frozen=True, slots=True)
class Secrets:
    """The resolved secrets of a site.

    Attributes:
        contact_key: Signs hidden Contacts and dialogs; made once for each site.
        phones: Password by SIP user name.
    """

    contact_key: str
    phones: Mapping[str, str]


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
    server_name: str
    trusted_roots: str
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
    bind_sockets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RtpengineView:
    """Everything the RTPEngine templates place."""

    site: str
    paths: Paths
    teams_bind: str
    advertised: str
    trunk_bind: str
    ng_port: int
    first_port: int
    last_port: int
