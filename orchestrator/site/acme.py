"""How a certificate is obtained: the CA, the way a name is proven, and who stands in for the CA.

Parts of ``certificate.acme``; ``model`` puts them into the site.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, IPvAnyAddress, model_validator

from orchestrator.site import part, scalars

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

WILDCARD = "*."
"""What a name begins with that stands for every name one label below it."""

MOST_NAMES = 99
"""Beside teams.fqdn; Let's Encrypt takes 100 names in all, and its newer profiles 25."""


def _checked_certificate_name(text: str) -> str:
    """A full domain name, or a wildcard for one label below it."""
    name = scalars.checked_fqdn(text.removeprefix(WILDCARD))
    return f"{WILDCARD}{name}" if text.startswith(WILDCARD) else name


DirectoryUrl = Annotated[str, Field(pattern=r"^https://[^\s\"']+$")]
Profile = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
CertificateName = Annotated[str, AfterValidator(_checked_certificate_name)]


class TsigAlgorithm(StrEnum):
    """How an update of DNS is signed."""

    SHA256 = "hmac-sha256"
    SHA384 = "hmac-sha384"
    SHA512 = "hmac-sha512"
    SHA224 = "hmac-sha224"
    SHA1 = "hmac-sha1"
    MD5 = "hmac-md5"


class Eab(part.Part):
    """The account one has with a CA already, to which the ACME account is bound."""

    kid: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~+/=:@-]{1,256}$")]
    """The key identifier the CA gave."""
    hmac: part.Secret
    """Reference to the HMAC key the CA gave, in base64url."""


class Ca(part.Part):
    """One CA that speaks ACME."""

    directory: DirectoryUrl
    """The CA's directory URL."""
    eab: Eab | None = None
    """The account one has with this CA already, where it asks for one."""
    profile: Profile | None = None
    """Which of the CA's profiles is wanted; by default the CA chooses."""
    profile_required: bool = False
    """true: no certificate at all when the CA has no such profile (any more)."""


class Rfc2136(part.Part):
    """A DNS server that takes updates signed by TSIG (BIND, Knot, PowerDNS and others)."""

    server: IPvAnyAddress
    """The address of the primary DNS server of the zone."""
    port: scalars.Port = 53
    """Its port, TCP and UDP."""
    key_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")]
    """The name of the TSIG key."""
    algorithm: TsigAlgorithm = TsigAlgorithm.SHA256
    """The algorithm of the TSIG key."""
    secret: part.Secret
    """Reference to the secret of the TSIG key, in base64."""
    wait: Annotated[scalars.Whole, Field(ge=0, le=600)] = 30
    """Seconds until the zone's other servers have a new record; the CA is asked then."""


class DnsHook(part.Part):
    """Programs of your own that put a record into DNS and take it out again."""

    auth: scalars.PlainPath
    """Puts the TXT record $CERTBOT_VALIDATION at _acme-challenge.$CERTBOT_DOMAIN."""
    cleanup: scalars.PlainPath | None = None
    """Takes the record out again."""


class Dns(part.Part):
    """How a name is proven by a record in DNS (DNS-01), the only way to a wildcard."""

    rfc2136: Rfc2136 | None = None
    """By an update of a DNS server."""
    hook: DnsHook | None = None
    """By programs of your own."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.rfc2136 is None) == (self.hook is None):
            raise ValueError("a record gets into DNS by rfc2136 or by hook, exactly one of them")
        return self


class OwnAcme(part.Part):
    """A certificate for one name from a CA that speaks ACME, through certbot."""

    email: Annotated[str, Field(pattern=r"^[^@\s\"']+@[^@\s\"']+\.[^@\s\"']+$")]
    """Where the CA writes to when something is wrong."""
    directory: DirectoryUrl = LETS_ENCRYPT
    """The CA's directory URL; by default Let's Encrypt."""
    http_port: scalars.Port = 80
    """Local port for the HTTP-01 challenge; the CA always connects to port 80."""
    dns: Dns | None = None
    """Prove the names by records in DNS (DNS-01) instead of by port 80 (HTTP-01)."""
    key_size: Literal["2048", "3072"] = "2048"
    """Bits of the RSA key; Teams takes RSA only (TLS-3)."""
    profile: Profile | None = None
    """Which of the CA's profiles is wanted; by default the CA chooses."""
    profile_required: bool = False
    """true: no certificate at all when the CA has no such profile (any more)."""
    eab: Eab | None = None
    """The account one has with this CA already, where it asks for one."""
    fallback: Ca | None = None
    """A second CA, asked when the first has given nothing for a day."""

    @property
    def challenge(self) -> str:
        """How names are proven, as ACME calls it."""
        return "dns-01" if self.dns else "http-01"

    @property
    def first(self) -> Ca:
        """The CA that is asked first."""
        return Ca(
            directory=self.directory,
            eab=self.eab,
            profile=self.profile,
            profile_required=self.profile_required,
        )

    @property
    def authorities(self) -> tuple[Ca, ...]:
        """Every CA whose certificate may serve, in the order they are asked."""
        return (self.first, self.fallback) if self.fallback else (self.first,)


class Acme(OwnAcme):
    """The same for the name of the site, and more names if it likes."""

    names: Annotated[tuple[CertificateName, ...], Field(max_length=MOST_NAMES)] = ()
    """Names beside teams.fqdn, such as *.customers.example.com; a wildcard needs dns."""


class CertificateFiles(part.Part):
    """A certificate that was bought or made elsewhere."""

    chain: scalars.PlainPath
    """PEM file: the certificate, then its intermediates (TLS-4)."""
    key: scalars.PlainPath
    """PEM file: the private key, RSA (TLS-3)."""


def names_to_order(fqdn: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names a certificate is asked for: those a wildcard covers, and doubles, are left out.

    CAs refuse an order for a wildcard and for a name under it.
    """
    wanted = dict.fromkeys((fqdn, *names))
    return tuple(name for name in wanted if _above(name) not in wanted)


def _above(name: str) -> str:
    """The wildcard that covers *name*; of a wildcard: nothing."""
    return "" if name.startswith(WILDCARD) else WILDCARD + name.partition(".")[2]
