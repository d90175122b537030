"""Who lives where in the lab: names, addresses, ports and numbers; constants only.

All addresses are from the documentation ranges (RFC 5737) and exist in the lab's own network
namespaces only; but the phone at home has a private one, because its router must hide it, and the
clouds for governments have Microsoft's own, which the SBC must know by itself. There are three
links:

* ``internet``: 203.0.113.0/24, 198.51.100.0/24 and those two clouds, flat, each reaches each
  without a router
* ``lan``: 192.0.2.0/24, behind the SBC
* ``home``: 10.0.0.0/24, behind a router on ``lan`` that translates addresses and ports

The ``examples/*/site.yaml`` describe SBCs that fit into this world.
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
    BRANCH = "branch"
    SECURE = "secure"
    CARRIER = "carrier"
    REGISTRAR = "registrar"
    DESK = "desk"
    ROUTER = "router"
    HOME = "home"


class Link(StrEnum):
    """The Ethernet segments; each is a bridge."""

    INTERNET = "internet"
    LAN = "lan"
    HOME = "home"


@dataclass(frozen=True, slots=True)
class Place:
    """One network card of the lab.

    Attributes:
        namespace: Whose card it is.
        link: What it is plugged into.
        addresses: Its IPv4 addresses, first the one that speaks by default.
        router: Who leads to everything that is not on the link, or nothing.
    """

    namespace: Namespace
    link: Link
    addresses: tuple[str, ...]
    router: str = ""


NETWORKS: dict[Link, tuple[str, ...]] = {
    Link.INTERNET: (
        "203.0.113.0/24",
        "198.51.100.0/24",
        "52.127.88.0/21",
        "52.127.64.0/21",
    ),
    Link.LAN: ("192.0.2.0/24",),
    Link.HOME: ("10.0.0.0/24",),
}
"""The networks that are on-link on each segment."""

# --- the SBC --------------------------------------------------------------------------------

SBC_FQDN = "sbc.example.com"
SBC_PUBLIC = "203.0.113.10"
SBC_LAN = "192.0.2.10"
SBC_TEAMS_PORT = 5061
SBC_SIP_PORT = 5060
SBC_SIPS_PORT = 5061
"""Where trunks over TLS reach the SBC, on its address on the LAN."""

# --- Microsoft ------------------------------------------------------------------------------

TEAMS_PORT = 5061
TEAMS_NETWORK = "198.51.100.0/24"
TEAMS_MEDIA = "198.51.100.14"
"""Address of the media processor: not one of the addresses that signal (EP-7)."""

TEAMS_MEDIA_PORTS = (49152, 53247)
TEAMS_RELAY_PORT = 3478
"""Where the media processor is heard: a port of the range, or a relay's own (EP-7)."""

TEAMS_SPARE = "198.51.100.15"
"""An address of Microsoft's that no name leads to until a story changes DNS (EP-10)."""

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
    "api-du-a-asse.pstnhub.microsoft.com": "198.51.100.13",
}
"""Names Microsoft uses for itself in Contact and Record-Route (EP-11)."""

GCC_HIGH_HOST = "sip.pstnhub.gov.teams.microsoft.us"
DOD_HOST = "sip.pstnhub.dod.teams.microsoft.us"
"""The one name that each cloud for governments has (EP-2)."""

GCC_HIGH_ADDRESS = "52.127.88.11"
GCC_HIGH_MEDIA = "52.127.88.14"
DOD_ADDRESS = "52.127.64.11"
DOD_MEDIA = "52.127.64.14"
"""In Microsoft's own networks, which the SBC knows without being told (EP-4)."""

# --- the company's side ----------------------------------------------------------------------

PBX_ADDRESS = "192.0.2.20"
PBX_PORT = 5060
BRANCH_ADDRESS = "192.0.2.21"
"""A second PBX, in a branch office: SIP over TCP."""

SECURE_ADDRESS = "192.0.2.22"
SECURE_HOST = "secure.example.com"
SECURE_PORT = 5061
"""A third PBX: SIP over TLS, encrypted audio."""

CARRIER_A = "192.0.2.41"
CARRIER_B = "192.0.2.42"
"""Two gateways of one carrier: SIP over UDP."""

REGISTRAR_ADDRESS = "192.0.2.50"
REGISTRAR_REALM = "registrar.example.net"
REGISTRAR_USER = "company"
REGISTRAR_PASSWORD_VARIABLE = "REGISTRAR_PASSWORD"  # noqa: S105 - the name of a variable
REGISTRAR_PASSWORD = "lab only, for the carrier"  # noqa: S105 - lives in the lab only
"""A carrier that wants the SBC to register and to prove itself by digest."""

SIP_PORT = 5060
"""The port of everybody on the company's side who needs no other."""

PHONE_ADDRESS = "192.0.2.30"
PHONE_PORT = SIP_PORT
PHONE_USER = "reception"
PHONE_REALM = SBC_FQDN
PHONE_PASSWORD_VARIABLE = "RECEPTION_PASSWORD"  # noqa: S105 - the name of a variable
PHONE_PASSWORD = "lab only, not a secret"  # noqa: S105 - lives in the lab's namespaces only

DESK_ADDRESS = "192.0.2.31"
DESK_USER = "desk"
HOME_ADDRESS = "10.0.0.30"
HOME_USER = "home"
"""A phone behind a router that translates addresses; its Contact names its private one."""

ROUTER_HOME = "10.0.0.1"
ROUTER_LAN = "192.0.2.60"
"""What the SBC sees of the phone at home, with a port of the router's choice."""

TSIG_SECRET_VARIABLE = "TSIG_SECRET"  # noqa: S105 - the name of a variable
TSIG_SECRET = "bGFiIG9ubHksIG5vdCBhIHNlY3JldCBvZiBhbnlib2R5"  # noqa: S105 - lives in the lab only
"""What signs updates of the lab's DNS."""

SECRETS: dict[str, str] = {
    PHONE_PASSWORD_VARIABLE: PHONE_PASSWORD,
    TSIG_SECRET_VARIABLE: TSIG_SECRET,
    "DESK_PASSWORD": PHONE_PASSWORD,
    "HOME_PASSWORD": PHONE_PASSWORD,
    REGISTRAR_PASSWORD_VARIABLE: REGISTRAR_PASSWORD,
}
"""The variables that hold the secrets of the examples."""

# --- services of the internet ----------------------------------------------------------------

DNS_ADDRESS = "198.51.100.53"
ACME_ADDRESS = "198.51.100.80"
ACME_HOST = "acme.example.net"
ACME_DIRECTORY = f"https://{ACME_HOST}/dir"
ACME_BEHIND = ("127.0.0.1", 14000)
"""Where pebble listens, behind the front that everybody asks."""
ACME_MANAGEMENT = ("127.0.0.1", 15000)
"""Where pebble tells its root, reachable in namespace ``internet`` only."""

# --- numbers ---------------------------------------------------------------------------------

CONTOSO = "contoso.sbc.example.com"
CONTOSO_NUMBER = "+493055560"
FABRIKAM = "fabrikam.sbc.example.com"
FABRIKAM_NUMBER = "+493055570"
ADATUM = "adatum.sbc.example.com"
ADATUM_NUMBER = "+493055580"
NORTHWIND = "northwind.sbc.example.com"
NORTHWIND_NUMBER = "+493055590"
"""Customers whose tenants share the SBC of example 09, and a user in each of them."""

NOBODY = "nobody.sbc.example.com"
"""A name below the provider's that no customer has."""

EXTENSION = "100"
"""A telephone at contoso's PBX, and another one at fabrikam's."""

TEAMS_NUMBER = "+493055510"
"""A user of Teams; no trunk and no phone serves it, so the SBC sends it to Teams."""

PBX_NUMBER = "+493055520"
"""An extension of the PBX."""

PHONE_NUMBER = "+493055500"
"""The SIP phone that registers at the SBC as ``PHONE_USER``."""

DESK_NUMBER = "+493055501"
HOME_NUMBER = "+493055502"
"""The phones of ``DESK_USER`` and ``HOME_USER``."""

BRANCH_NUMBER = "+493055530"
SECURE_NUMBER = "+493055540"
"""Extensions of the other PBXs."""

PSTN_NUMBER = "+441632960100"
"""Somebody in the world behind the carrier; from a range for films (Ofcom)."""

REGISTRAR_NUMBER = "+12025550100"
"""Somebody behind the carrier that wants a registration; from a range for films (NANPA)."""

# --- plugged together --------------------------------------------------------------------------

PLACES: tuple[Place, ...] = (
    Place(
        Namespace.TEAMS,
        Link.INTERNET,
        (
            *(*TEAMS_HOSTS.values(), TEAMS_MEDIA, TEAMS_SPARE),
            *(GCC_HIGH_ADDRESS, GCC_HIGH_MEDIA, DOD_ADDRESS, DOD_MEDIA),
        ),
    ),
    Place(Namespace.INTERNET, Link.INTERNET, (DNS_ADDRESS, ACME_ADDRESS)),
    Place(Namespace.SBC, Link.INTERNET, (SBC_PUBLIC,)),
    Place(Namespace.SBC, Link.LAN, (SBC_LAN,)),
    Place(Namespace.PBX, Link.LAN, (PBX_ADDRESS,)),
    Place(Namespace.PHONE, Link.LAN, (PHONE_ADDRESS,)),
    Place(Namespace.BRANCH, Link.LAN, (BRANCH_ADDRESS,)),
    Place(Namespace.SECURE, Link.LAN, (SECURE_ADDRESS,)),
    Place(Namespace.CARRIER, Link.LAN, (CARRIER_A, CARRIER_B)),
    Place(Namespace.REGISTRAR, Link.LAN, (REGISTRAR_ADDRESS,)),
    Place(Namespace.DESK, Link.LAN, (DESK_ADDRESS,)),
    Place(Namespace.ROUTER, Link.LAN, (ROUTER_LAN,)),
    Place(Namespace.ROUTER, Link.HOME, (ROUTER_HOME,)),
    Place(Namespace.HOME, Link.HOME, (HOME_ADDRESS,), router=ROUTER_HOME),
)
"""Every network card of the lab."""

HOSTS: dict[str, str] = {
    SBC_FQDN: SBC_PUBLIC,
    **dict.fromkeys((CONTOSO, FABRIKAM, ADATUM, NORTHWIND, NOBODY), SBC_PUBLIC),
    ACME_HOST: ACME_ADDRESS,
    SECURE_HOST: SECURE_ADDRESS,
    REGISTRAR_REALM: REGISTRAR_ADDRESS,
    **TEAMS_HOSTS,
    **TEAMS_ALIASES,
    GCC_HIGH_HOST: GCC_HIGH_ADDRESS,
    DOD_HOST: DOD_ADDRESS,
}
"""Every name the lab's DNS knows, with its address."""
