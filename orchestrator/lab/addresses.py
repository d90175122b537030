"""Who lives where in the lab: names, addresses, ports and numbers; constants only.

All addresses are from the documentation ranges (RFC 5737) and exist in the lab's own network
namespaces only. There are two links:

* ``internet``: 203.0.113.0/24 and 198.51.100.0/24, flat, each reaches each without a router
* ``lan``: 192.0.2.0/24, behind the SBC

``examples/01-one-pbx/site.yaml`` describes an SBC that fits into this world.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Namespace(StrEnum):
    """The network namespaces of the lab."""

    TEAMS = "teams"
    SBC = "sbc"
    PBX = "pbx"
    PHONE = "phone"
    INTERNET = "internet"


class Link(StrEnum):
    """The two Ethernet segments; each is a bridge."""

    INTERNET = "internet"
    LAN = "lan"


@dataclass(frozen=True, slots=True)
class Place:
    """One network card of the lab.

    Attributes:
        namespace: Whose card it is.
        link: What it is plugged into.
        addresses: Its IPv4 addresses, first the one that speaks by default.
    """

    namespace: Namespace
    link: Link
    addresses: tuple[str, ...]


NETWORKS: dict[Link, tuple[str, ...]] = {
    Link.INTERNET: ("203.0.113.0/24", "198.51.100.0/24"),
    Link.LAN: ("192.0.2.0/24",),
}
"""The networks that are on-link on each segment."""

# --- the SBC --------------------------------------------------------------------------------

SBC_FQDN = "sbc.example.com"
SBC_PUBLIC = "203.0.113.10"
SBC_LAN = "192.0.2.10"
SBC_TEAMS_PORT = 5061
SBC_SIP_PORT = 5060

# --- Microsoft ------------------------------------------------------------------------------

TEAMS_PORT = 5061
TEAMS_NETWORK = "198.51.100.0/24"
TEAMS_MEDIA = "198.51.100.14"
"""Address of the media processor: not one of the addresses that signal (EP-7)."""

TEAMS_HOSTS: dict[str, str] = {
    "sip.pstnhub.microsoft.com": "198.51.100.11",
    "sip2.pstnhub.microsoft.com": "198.51.100.12",
    "sip3.pstnhub.microsoft.com": "198.51.100.13",
}
"""Microsoft's three names in the order they are tried, and where they resolve to (EP-1)."""

TEAMS_ALIASES: dict[str, str] = {
    "sip-du-a-us.pstnhub.microsoft.com": "198.51.100.12",
    "sip-du-a-eu.pstnhub.microsoft.com": "198.51.100.11",
    "sip-du-a-as.pstnhub.microsoft.com": "198.51.100.13",
    "api-du-a-euwe.pstnhub.microsoft.com": "198.51.100.11",
    "api-du-a-usea.pstnhub.microsoft.com": "198.51.100.12",
}
"""Names Microsoft uses for itself in Contact and Record-Route (EP-11)."""

# --- the company's side ----------------------------------------------------------------------

PBX_ADDRESS = "192.0.2.20"
PBX_PORT = 5060
PHONE_ADDRESS = "192.0.2.30"
PHONE_PORT = 5060
PHONE_USER = "reception"
PHONE_REALM = SBC_FQDN
PHONE_PASSWORD_VARIABLE = "RECEPTION_PASSWORD"  # noqa: S105 - the name of a variable
PHONE_PASSWORD = "lab only, not a secret"  # noqa: S105 - lives in the lab's namespaces only

SECRETS: dict[str, str] = {PHONE_PASSWORD_VARIABLE: PHONE_PASSWORD}
"""The variables that hold the secrets of the examples."""

# --- services of the internet ----------------------------------------------------------------

DNS_ADDRESS = "198.51.100.53"
ACME_ADDRESS = "198.51.100.80"
ACME_HOST = "acme.example.net"
ACME_DIRECTORY = f"https://{ACME_HOST}/dir"
ACME_MANAGEMENT = ("127.0.0.1", 15000)
"""Where pebble tells its root, reachable in namespace ``internet`` only."""

# --- numbers ---------------------------------------------------------------------------------

TEAMS_NUMBER = "+493055510"
"""A user of Teams; no trunk and no phone serves it, so the SBC sends it to Teams."""

PBX_NUMBER = "+493055520"
"""An extension of the PBX."""

PHONE_NUMBER = "+493055500"
"""The SIP phone that registers at the SBC as ``PHONE_USER``."""

# --- plugged together --------------------------------------------------------------------------

PLACES: tuple[Place, ...] = (
    Place(Namespace.TEAMS, Link.INTERNET, (*TEAMS_HOSTS.values(), TEAMS_MEDIA)),
    Place(Namespace.INTERNET, Link.INTERNET, (DNS_ADDRESS, ACME_ADDRESS)),
    Place(Namespace.SBC, Link.INTERNET, (SBC_PUBLIC,)),
    Place(Namespace.SBC, Link.LAN, (SBC_LAN,)),
    Place(Namespace.PBX, Link.LAN, (PBX_ADDRESS,)),
    Place(Namespace.PHONE, Link.LAN, (PHONE_ADDRESS,)),
)
"""Every network card of the lab."""

HOSTS: dict[str, str] = {
    SBC_FQDN: SBC_PUBLIC,
    ACME_HOST: ACME_ADDRESS,
    **TEAMS_HOSTS,
    **TEAMS_ALIASES,
}
"""Every name the lab's DNS knows, with its address."""
