"""What DNS says about a name: addresses, and which CAs may certify it; the only door to dnspython.

dnspython takes a tenth of a second to import, so it is imported where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dns.resolver

SECONDS = 3.0
"""How long one name is asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name.

    Attributes:
        addresses: Its IPv4 addresses, sorted.
        failure: Why there is no answer; empty when there is one, if only that there are none.
    """

    addresses: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Authorization:
    """One CAA record (RFC 8659).

    Attributes:
        tag: ``issue``, ``issuewild``, ``iodef`` or another word.
        value: Whom it names, with parameters: ``letsencrypt.org; validationmethods=dns-01``.
        critical: Whether a CA that does not know the tag must refuse.
    """

    tag: str
    value: str
    critical: bool = False


@dataclass(frozen=True, slots=True)
class Authorizations:
    """The CAA records that count for a name.

    Attributes:
        owner: The name they stand at: the name itself or the next above it; empty for none.
        records: The records there.
        failure: Why there is no answer. A CA refuses then.
    """

    owner: str = ""
    records: tuple[Authorization, ...] = ()
    failure: str = ""


def addresses(name: str, resolver: tuple[str, int] | None) -> Answer:
    """The A records of *name*, aliases followed; asks for :data:`SECONDS` at most.

    Args:
        name: The name.
        resolver: Address and port of the DNS server to ask; None for those of the machine.
    """
    import dns.exception  # noqa: PLC0415 - see the module docstring
    import dns.resolver  # noqa: PLC0415 - see the module docstring

    try:
        found = _resolver(resolver).resolve(f"{name}.", "A", raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return Answer()
    except (dns.exception.DNSException, OSError) as error:
        return Answer(failure=_words(error))
    return Answer(tuple(sorted(str(record) for record in found.rrset or ())))


def authorizations(name: str, resolver: tuple[str, int] | None) -> Authorizations:
    """The CAA records that count for *name*: its own, or those of the next name above."""
    import dns.exception  # noqa: PLC0415 - see the module docstring
    import dns.resolver  # noqa: PLC0415 - see the module docstring

    asked = _resolver(resolver)
    labels = name.removeprefix("*.").split(".")
    # Top-level domains have no CAA, and an authoritative server would refuse to tell of them.
    for above in range(max(len(labels) - 1, 1)):
        owner = ".".join(labels[above:])
        try:
            found = asked.resolve(f"{owner}.", "CAA", raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            continue
        except (dns.exception.DNSException, OSError) as error:
            return Authorizations(owner, failure=_words(error))
        if found.rrset:
            records = tuple(
                sorted(
                    (
                        Authorization(
                            record.tag.decode("ascii", "replace").lower(),
                            record.value.decode("ascii", "replace"),
                            critical=bool(record.flags & 0x80),
                        )
                        for record in found.rrset
                    ),
                    key=lambda each: (each.tag, each.value),
                )
            )
            return Authorizations(owner, records)
    return Authorizations()


def _resolver(server: tuple[str, int] | None) -> dns.resolver.Resolver:
    import dns.resolver  # noqa: PLC0415 - see the module docstring

    made = dns.resolver.Resolver(configure=server is None)
    if server is not None:
        made.nameservers = [server[0]]
        made.port = server[1]
    made.lifetime = SECONDS
    made.timeout = SECONDS / 2
    return made


def _words(error: Exception) -> str:
    """What went wrong, in words for an operator."""
    import dns.exception  # noqa: PLC0415 - see the module docstring
    import dns.resolver  # noqa: PLC0415 - see the module docstring

    if isinstance(error, dns.exception.Timeout):
        return f"no DNS server answered within {SECONDS:.0f} s"
    if isinstance(error, dns.resolver.NoNameservers):
        return "the DNS servers answered that they cannot tell (SERVFAIL or REFUSED)"
    return str(error)
