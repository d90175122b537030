"""The site as a value: everything one site.yaml describes, typed, checked and frozen.

Each field carries the sentence an operator reads about it. What a single field cannot know
(references between parts, overlaps) is in ``rules.py``; where a value stood in the file is in
``load.py``. Scalars arrive as the text that was written, so ``+4930...`` keeps its plus and
``no`` stays a word; the types below decide what they mean (facts/ux.md section 3).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyAddress,
    IPvAnyNetwork,
    model_validator,
)
from pydantic.fields import FieldInfo

from orchestrator.site import acme, callers, part, scalars, tenants

OLD_KAMAILIO_RISK = "kamailio before 6.0 can be crashed by concurrent TLS handshakes"
"""The words an operator repeats to run a public Teams listener on Kamailio < 6.0."""

NG_PORT = 2223
"""Local UDP port on which RTPEngine listens for ng commands."""

_GATEWAY = re.compile(
    r"sip:(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:;transport=(?P<transport>[a-z]+))?"
)


def _checked_gateway_host(text: str) -> str:
    """A name, an IPv4 address, or an IPv6 address in brackets."""
    if not text.startswith("["):
        return scalars.checked_host(text)
    scalars.checked_address(text.removeprefix("[").removesuffix("]"), ipaddress.IPv6Address)
    if not text.endswith("]") or "%" in text:
        raise ValueError("an IPv6 address stands in brackets and has no zone: [2001:db8::1]")
    return text.lower()


LETS_ENCRYPT = acme.LETS_ENCRYPT

Name = scalars.Name
Host = scalars.Host
Fqdn = scalars.Fqdn
Number = part.Number
SipUser = scalars.SipUser
PlainPath = scalars.PlainPath
Whole = scalars.Whole
Port = scalars.Port
DigestUser = scalars.DigestUser
Realm = scalars.Realm
Secret = part.Secret
Acme = acme.Acme
CertificateFiles = acme.CertificateFiles
Tenant = tenants.Tenant
Limits = tenants.Limits
FullTrunk = tenants.FullTrunk


class Cloud(StrEnum):
    """Which of Microsoft's clouds the tenant lives in (EP-1, EP-2)."""

    COMMERCIAL = "commercial"
    GCC_HIGH = "gcc-high"
    DOD = "dod"


class TrunkKind(StrEnum):
    """Who is at the other end of a trunk."""

    PBX = "pbx"
    CARRIER = "carrier"


class Codec(StrEnum):
    """A codec of a trunk, by its name in SDP (MED-15)."""

    PCMA = "PCMA"
    PCMU = "PCMU"
    G722 = "G722"
    G729 = "G729"
    OPUS = "opus"


class EarlyMedia(StrEnum):
    """What a trunk gets for early media of Teams (SIG-11)."""

    PASS = "pass"  # noqa: S105 - not a password
    RINGING = "ringing"


class Transfer(StrEnum):
    """Who carries out a transfer that a Teams user asks for (XF-1, XF-2)."""

    INTERNAL = "internal"
    REFER = "refer"


class Location(StrEnum):
    """When a trunk is told where a caller is (EM-1)."""

    EMERGENCY = "emergency"
    PASS = "pass"  # noqa: S105 - not a password
    DROP = "drop"


class Transport(StrEnum):
    """How SIP reaches a gateway."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class Part(part.Part):
    """The base of every part that is described here."""


def fields_of(kind: type[part.Part]) -> dict[str, FieldInfo]:
    """The fields of a part by their names in site.yaml (``from`` is a word of Python's)."""
    return {field.alias or name: field for name, field in kind.model_fields.items()}


class Gateway(Part):
    """One address of a trunk, written as a SIP URI."""

    host: Annotated[str, AfterValidator(_checked_gateway_host)]
    """Address or name of the gateway."""
    port: Port = 5060
    """Port the gateway listens on; 5061 for a URI with transport=tls that names none."""
    transport: Transport = Transport.UDP
    """udp, tcp or tls."""
    priority: Annotated[Whole, Field(ge=0, le=65535)] | None = None
    """The lowest is tried first; by default the order of the list counts."""
    weight: Annotated[Whole, Field(ge=1, le=100)] | None = None
    """Its share of the calls, next to the weights of the others."""

    @property
    def uri(self) -> str:
        """The gateway as a SIP URI with every part written out."""
        return f"sip:{self.host}:{self.port};transport={self.transport}"


def _gateway_from_text(value: object) -> object:
    """A SIP URI, or a mapping with one under ``uri``, as the fields of a Gateway."""
    rest: dict[str, object] = {}
    if isinstance(value, Mapping) and "uri" in value:
        rest = {str(key): part for key, part in value.items() if key != "uri"}
        value = value["uri"]
        if doubled := sorted(rest.keys() & {"host", "port", "transport"}):
            raise ValueError(f"uri says everything that {' and '.join(doubled)} would say")
    if not isinstance(value, str):
        return value
    match = _GATEWAY.fullmatch(value)
    if match is None:
        raise ValueError("a gateway reads sip:HOST, sip:HOST:PORT or sip:HOST:PORT;transport=udp")
    parts: dict[str, object] = {"host": _checked_gateway_host(match["host"]), **rest}
    if match["transport"]:
        parts["transport"] = match["transport"]
    if match["port"] or match["transport"] == Transport.TLS:
        parts["port"] = match["port"] or "5061"
    return parts


GatewayText = Annotated[Gateway, BeforeValidator(_gateway_from_text)]


class Node(Part):
    """The machine that runs the engines."""

    public_address: IPvAnyAddress
    """The address Teams reaches: what the DNS name of teams.fqdn resolves to."""
    private_address: IPvAnyAddress | None = None
    """The address the engines bind for Teams when it differs (1:1 NAT in a cloud)."""
    trunk_address: IPvAnyAddress | None = None
    """The address the engines bind for trunks and phones; by default the one for Teams."""
    sip_port: Port = 5060
    """The port for trunks and phones, UDP and TCP."""
    tls_port: Port = 5061
    """The port for trunks that speak TLS, on trunk_address; opened when there is such a trunk."""

    @property
    def teams_bind(self) -> str:
        """The address bound towards Teams."""
        return str(self.private_address or self.public_address)

    @property
    def trunk_bind(self) -> str:
        """The address bound towards trunks and phones."""
        return str(self.trunk_address) if self.trunk_address else self.teams_bind


class Teams(Part):
    """The Microsoft side."""

    fqdn: Fqdn
    """The name of this SBC in Contact, Record-Route and the certificate (CERT-3, SIG-4)."""
    port: Port = 5061
    """The port Microsoft dials; it must equal SipSignalingPort of the gateway object (OPT-4)."""
    cloud: Cloud = Cloud.COMMERCIAL
    """commercial (also GCC), gcc-high or dod; decides names and networks (EP-1, EP-2, EP-4)."""
    networks: Annotated[tuple[IPvAnyNetwork, ...], Field(min_length=1)] | None = None
    """Networks Microsoft signals from; by default those of the cloud (EP-4)."""
    trusted_roots: PlainPath | None = None
    """PEM file of the CAs that may vouch for Microsoft; by default the seven it named (TLS-9)."""
    options_interval: Annotated[Whole, Field(ge=5, le=300)] = 60
    """Seconds between two OPTIONS to each of Microsoft's names (OPT-1)."""
    failover_time: Annotated[Whole, Field(ge=5, le=60)] = 10
    """FailoverTimeSeconds of the gateway object: nobody rings by then, Teams goes on (SIG-25)."""


class Certificate(Part):
    """Where the certificate of teams.fqdn comes from: acme or files."""

    acme: Acme | None = None
    """Obtain it from a CA by ACME."""
    files: CertificateFiles | None = None
    """Take it from two files."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.acme is None) == (self.files is None):
            raise ValueError("a certificate comes from acme or from files, exactly one of them")
        return self


class TrunkTls(Part):
    """Whose certificate the gateways of a trunk over TLS must show."""

    ca: PlainPath | None = None
    """PEM file of the CAs that may vouch for them; by default those the distribution trusts."""
    name: Host | None = None
    """The name their certificate must bear; with a ca of your own any name of that CA will do."""


class Digest(Part):
    """How the SBC proves itself when a trunk asks who calls (401 or 407)."""

    user: DigestUser
    """The user the trunk knows."""
    password: Secret
    """Reference to the password."""
    realm: Realm | None = None
    """Answer this realm only; by default whichever the trunk's gateway names."""


class Registration(Part):
    """How the SBC registers at a carrier, so that calls for its numbers come here."""

    user: SipUser
    """The user of the account: sip:USER@REGISTRAR is what is registered."""
    password: Secret
    """Reference to the password; it also answers for calls where there is no digest."""
    registrar: Host | None = None
    """The domain of the account; by default the address of the first gateway, where it is sent."""
    auth_user: DigestUser | None = None
    """The user of the proof where it is another one."""
    realm: Realm | None = None
    """Answer this realm only; by default whichever the registrar names."""
    expires: Annotated[Whole, Field(ge=60, le=7200)] = 600
    """Seconds a registration shall last; it is renewed before."""
    contact_user: SipUser | None = None
    """The user part of the Contact, by default user; a call that dials it goes by its To."""


class Trunk(Part):
    """The agreed SIP connection to one PBX or carrier."""

    kind: TrunkKind
    """pbx or carrier."""
    gateways: Annotated[tuple[GatewayText, ...], Field(min_length=1, max_length=32)]
    """Where calls are sent, in order: the next one is tried when one does not answer."""
    numbers: tuple[Number, ...] | None = None
    """Prefixes it serves; left out, it takes what no other serves; [] is for routes alone."""
    codecs: Annotated[tuple[Codec, ...], Field(min_length=1)] | None = None
    """Codecs it may use, the preferred one first; by default whatever both ends agree on."""
    transcode: bool = False
    """Let RTPEngine translate when the other end has none of the codecs; costs CPU per call."""
    early_media: EarlyMedia = EarlyMedia.PASS
    """pass, or ringing: 183 of Teams becomes 180 without SDP, so the trunk rings by itself."""
    hold_music: PlainPath | None = None
    """WAV file it hears while Teams holds; by default a held trunk hears nothing."""
    transfer: Transfer = Transfer.INTERNAL
    """Who carries out transfers by Teams users: internal is Teams itself, refer is this PBX."""
    location: Location = Location.EMERGENCY
    """When it is told where a caller is: in emergency calls, pass always, drop never."""
    srtp: bool = False
    """true when its audio is encrypted by keys in the SDP; both ways, without a plain way out."""
    tls: TrunkTls | None = None
    """Whose certificate its gateways must show, for gateways with transport=tls."""
    digest: Digest | None = None
    """How the SBC proves itself when the trunk asks who calls."""
    numbering: callers.Numbering | None = None
    """How it writes numbers; by default E.164 with a plus."""
    caller_id: callers.CallerId = callers.CallerId()
    """Which number it sees as the caller."""
    trusted: bool | None = None
    """Whether it may know who calls anonymously; by default true for a PBX only (SIG-23)."""
    limits: Limits | None = None
    """How many calls it may have at once."""
    history: callers.History | None = None
    """Who forwarded a call: pass (PBX), diversion (as Diversion header) or drop (carrier)."""

    registration: Registration | None = None
    """How the SBC registers there; without it the trunk knows the SBC by its address."""

    @property
    def transport(self) -> Transport:
        """How SIP reaches its gateways; one transport for all (rules.py)."""
        return self.gateways[0].transport

    @property
    def proof(self) -> Digest | None:
        """What answers when the trunk asks who calls: digest, or else the registration's."""
        held = self.registration
        if self.digest or held is None:
            return self.digest
        user = held.auth_user or held.user
        return Digest(user=user, password=held.password, realm=held.realm)


class Phone(Part):
    """One SIP phone that registers here."""

    number: Number
    """The number that rings this phone, as Teams and the trunks dial it."""
    password: Secret
    """Reference to the password of its digest authentication."""


class Phones(Part):
    """Phones that register here with digest authentication."""

    realm: Fqdn
    """The realm, and the domain part of the phones' addresses."""
    users: Annotated[dict[SipUser, Phone], Field(min_length=1)]
    """The phones by their SIP user name."""


class NumberRange(Part):
    """Numbers that follow each other, written FIRST-LAST; both have the same length."""

    first: Number
    last: Number

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        alike = self.first.startswith("+") == self.last.startswith("+")
        if not alike or len(self.first) != len(self.last):
            raise ValueError("both ends of a range are written alike: +493055500-+493055599")
        if self.first > self.last:
            raise ValueError("a range begins with its lowest number")
        return self


def _number_range_from_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    first, dash, last = value.partition("-")
    if not dash:
        raise ValueError("a range reads FIRST-LAST, for example +493055500-+493055599")
    return {"first": first.strip(), "last": last.strip()}


FinalCode = Annotated[Whole, Field(ge=400, le=699)]


class Target(Part):
    """One party to which a route sends calls; a name alone stands for its party."""

    party: Name
    """teams, phones (the phone that has the dialled number) or the name of a trunk."""
    failover_on: tuple[FinalCode, ...] | None = None
    """Answers that lead on to the next target, by default 500, 502, 503, 504 (Teams: 503)."""
    ring_within: Annotated[Whole, Field(ge=1, le=120)] | None = None
    """Seconds in which it must ring; after that the next target is tried."""
    answer_within: Annotated[Whole, Field(ge=1, le=600)] | None = None
    """Seconds in which it must be answered; after that the next target is tried."""


def _target_from_text(value: object) -> object:
    return {"party": value} if isinstance(value, str) else value


class Route(Part):
    """Where calls go, by who calls and which number was dialled."""

    sources: tuple[Name, ...] = Field(default=(), alias="from", min_length=1)
    """Who calls: teams, phones and names of trunks; by default anybody."""
    number: Number | None = None
    """The one number this route is for."""
    range: Annotated[NumberRange, BeforeValidator(_number_range_from_text)] | None = None
    """The numbers this route is for, as FIRST-LAST."""
    prefix: Number | None = None
    """What the numbers this route is for begin with."""
    emergency: Annotated[tuple[Number, ...], Field(min_length=1)] | None = None
    """Emergency numbers: they win over every other route and are outside every limit."""
    to: Annotated[
        tuple[Annotated[Target, BeforeValidator(_target_from_text)], ...],
        Field(min_length=1, max_length=16),
    ]
    """Whom to try, in order."""

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        given = [way for way in ("number", "range", "prefix", "emergency") if getattr(self, way)]
        if len(given) > 1:
            raise ValueError(
                f"a route is for one of number, range, prefix and emergency, not "
                f"{' and '.join(given)}"
            )
        return self


class PortRange(Part):
    """UDP ports for media, written FIRST-LAST."""

    first: Port
    last: Port

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.last - self.first < 39:
            raise ValueError("media needs at least 40 ports (4 for each call)")
        return self


def _range_from_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    first, dash, last = value.partition("-")
    if not dash:
        raise ValueError("a port range reads FIRST-LAST, for example 30000-39999")
    return {"first": first.strip(), "last": last.strip()}


class Media(Part):
    """What RTPEngine may use."""

    ports: Annotated[PortRange, BeforeValidator(_range_from_text)] = PortRange(
        first=30000, last=39999
    )
    """UDP ports for RTP and RTCP; a call takes four."""


Risk = Literal["kamailio before 6.0 can be crashed by concurrent TLS handshakes"]


class Engines(Part):
    """Settings of the engines themselves; the defaults suit one company."""

    accept_risk: Risk | None = None
    """Repeat the sentence to run a public Teams listener on Kamailio before 6.0."""
    shared_memory: Annotated[Whole, Field(ge=64, le=65536)] = 256
    """MiB of shared memory for Kamailio: 256 carry a thousand new calls a second."""
    private_memory: Annotated[Whole, Field(ge=16, le=65536)] | None = None
    """MiB of memory of its own that each of its processes may take: 16, and 64 with tenants."""
    workers: Annotated[Whole, Field(ge=1, le=64)] = 4
    """Kamailio's UDP workers, from 6.0 its TCP workers, too; each TLS listener has its own."""


class Site(Part):
    """Everything one site.yaml describes."""

    version: Literal["1"]
    """Version of this format: 1."""
    site: Name
    """A short name for the site, for messages and logs."""
    node: Node
    """The machine."""
    teams: Teams
    """The Microsoft side."""
    certificate: Certificate
    """Where the certificate comes from."""
    trunks: Annotated[dict[Name, Trunk], Field(min_length=1)]
    """PBXs and carriers by name."""
    phones: Phones | None = None
    """Phones that register here."""
    routes: Annotated[dict[Name, Route], Field(max_length=1000)] = Field(default={})
    """Where calls go; what no route is for, trunks and phones take by their numbers."""
    tenants: dict[Name, Tenant] = Field(default={})
    """Customers of a provider by name; include names files with more of them."""
    media: Media = Media()
    """Media ports."""
    engines: Engines = Engines()
    """Engine settings."""

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """Every name the certificate must cover, teams.fqdn first."""
        more = self.certificate.acme.names if self.certificate.acme else ()
        return tuple(dict.fromkeys((self.teams.fqdn, *more)))

    @property
    def by_acme(self) -> Mapping[tuple[str, ...], Acme]:
        """What is said of each certificate that is obtained by ACME, by its place in here."""
        found: dict[tuple[str, ...], Acme | None] = {
            ("certificate", "acme"): self.certificate.acme
        }
        for name, trunk in self.full_trunks.items():
            found["tenants", name, "certificate", "acme"] = trunk.acme
        return {place: acme for place, acme in found.items() if acme is not None}

    def names_at(self, place: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the certificate that is asked for at one of the places of ``by_acme``."""
        if place[0] == "tenants":
            return (self.tenants[place[1]].fqdn,)
        return self.certificate_names

    @property
    def full_trunks(self) -> Mapping[str, FullTrunk]:
        """Tenants that Microsoft knows by an SBC of their own, by name in alphabetical order."""
        found = {name: each.full_trunk for name, each in self.tenants.items() if each.certificate}
        return {name: trunk for name, trunk in sorted(found.items()) if trunk is not None}
