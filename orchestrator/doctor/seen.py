"""What doctor found out, as values; None stands for a question that was not asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.engines import kamailio_peers
from orchestrator.host import clock, names, ports, web


@dataclass(frozen=True, slots=True)
class Wire:
    """What a TLS listener shows.

    Attributes:
        place: ``address:port``.
        chain: The certificates in the order they were sent, as PEM; empty when none came.
        failure: Why none came.
    """

    place: str
    chain: bytes = b""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file of certificates.

    Attributes:
        path: Its name.
        pem: What is in it.
        failure: Why it could not be read.
    """

    path: str
    pem: bytes = b""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Offered:
    """The pair of files that ``certificate.files`` names; its key stays where it is.

    Attributes:
        path: The file of the chain.
        chain: What is in it.
        faults: Why the pair cannot serve.
        failure: Why one of the files could not be read.
    """

    path: str
    chain: bytes = b""
    faults: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant with a trunk of its own at Microsoft.

    Attributes:
        name: What site.yaml calls it.
        offered: The pair of files that it names; None for one with ACME.
        answer: What DNS says of its name.
        wire: What its listener shows; None when nothing is applied.
    """

    name: str
    offered: Offered | None
    answer: names.Answer | None = None
    wire: Wire | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was found.

    Attributes:
        applied: Whether a generation is current on this machine.
        serial: The serial of the certificate that is installed; None when there is none.
        wire: What the listener for Teams shows; None when nothing is applied.
        offered: The files that site.yaml names; None for a site with ACME.
        roots: The file of CAs by which Microsoft is judged.
        store: The CAs this machine trusts.
        addresses: What DNS says of each name.
        microsoft: What DNS says of each of Microsoft's names.
        theirs: What the first address of each of Microsoft's names shows.
        authorizations: What DNS says of each name about CAs.
        listeners: Who listens on the port of the HTTP-01 challenge.
        steered: What the kernel says about this machine's clock.
        directories: What each ACME CA answered, by its directory.
        peers: What peers of Microsoft's showed in the last day.
        tenants: Those with a trunk of their own at Microsoft.
    """

    applied: bool
    serial: int | None = None
    wire: Wire | None = None
    offered: Offered | None = None
    roots: File = field(default_factory=lambda: File(""))
    store: File = field(default_factory=lambda: File(""))
    addresses: Mapping[str, names.Answer] | None = None
    microsoft: Mapping[str, names.Answer] | None = None
    theirs: Mapping[str, Wire] | None = None
    authorizations: Mapping[str, names.Authorizations] | None = None
    listeners: tuple[ports.Listener, ...] | None = None
    steered: clock.Steered | None = None
    directories: Mapping[str, web.Answer] | None = None
    peers: tuple[kamailio_peers.Peer, ...] = ()
    tenants: tuple[Tenant, ...] = ()
