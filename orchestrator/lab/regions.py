"""Microsoft's datacentres: what each calls itself in Record-Route, Contact and OPTIONS (EP-11)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """One datacentre.

    Attributes:
        proxy: The name of its SIP proxy, in Record-Route and in its own OPTIONS.
        controller: The name of its call controller, in Contact.
    """

    proxy: str
    controller: str

    @property
    def route(self) -> str:
        """The URI of its Record-Route."""
        return f"sip:{self.proxy}:5061;transport=tls;lr"

    def contact(self) -> str:
        """The Contact URI of a new call: opaque, mixed case, longer than most stacks expect.

        It must come back as it is (SIG-12).
        """
        opaque = f"x-i={secrets.token_hex(16)};x-c=/{secrets.token_hex(8).upper()}"
        return f"sip:{self.controller}:443;{opaque}/s/1/{secrets.randbelow(90_000) + 10_000}aB"


EUROPE = Region("sip-du-a-eu.pstnhub.microsoft.com", "api-du-a-euwe.pstnhub.microsoft.com")
AMERICA = Region("sip-du-a-us.pstnhub.microsoft.com", "api-du-a-usea.pstnhub.microsoft.com")
ASIA = Region("sip-du-a-as.pstnhub.microsoft.com", "api-du-a-asse.pstnhub.microsoft.com")

GCC_HIGH = Region("sip.pstnhub.gov.teams.microsoft.us", "api.pstnhub.gov.teams.microsoft.us")
DOD = Region("sip.pstnhub.dod.teams.microsoft.us", "api.pstnhub.dod.teams.microsoft.us")
"""The clouds for governments, which have one name each (EP-2)."""

ALL = (EUROPE, AMERICA, ASIA)
"""In the order of Microsoft's three public names, each of which leads to one of them."""
