"""Tenants: the customers of a provider, each with its own name towards Teams and its numbers.

A site may have ten thousand of them with a million numbers in all. So the numbers of a tenant are
checked together by one expression; only where that finds something is each looked at alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    Field,
    IPvAnyAddress,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from orchestrator.site import acme as acme_parts
from orchestrator.site import callers, part, premium, scalars

INCLUDE = "include"
"""The key beside the names of tenants that names files with more of them (``include.py``)."""
MEANING_OF_INCLUDE = (
    "Globs of files with more tenants, from the folder of site.yaml: YAML, or lines of JSON "
    "(.jsonl)."
)
"""What an operator reads about it."""

_NUMBER = r"\+?[0-9]{1,15}"
_ALL_SINGLE = re.compile(rf"(?:{_NUMBER}\n)*")
_RANGE = re.compile(rf"{_NUMBER} *- *{_NUMBER}")


def split(text: str) -> tuple[str, str]:
    """The first and the last number of an entry of ``numbers``; of a single number: twice it."""
    first, dash, last = text.partition("-")
    return (first.strip(), last.strip()) if dash else (text, text)


def _checked_entry(text: str) -> str:
    """A number or a range; ValueError when it is neither."""
    if "-" not in text:
        return part.checked_number(text)
    if not _RANGE.fullmatch(text):
        raise ValueError("a range reads FIRST-LAST, for example +493055500-+493055599")
    first, last = split(text)
    if first.startswith("+") != last.startswith("+") or len(first) != len(last):
        raise ValueError("both ends of a range are written alike: +493055500-+493055599")
    if first > last:
        raise ValueError("a range begins with its lowest number")
    return text


Entry = Annotated[str, AfterValidator(_checked_entry)]


def _checked_together(value: object, each: ValidatorFunctionWrapHandler) -> tuple[str, ...]:
    """Entries in one go; *each* checks them one by one, and says which one is wrong."""
    if isinstance(value, list | tuple) and _are_single(value):
        return tuple(value)
    checked: tuple[str, ...] = each(value)
    return checked


def _are_single(value: list[str] | tuple[str, ...]) -> bool:
    """Whether all of them are single numbers."""
    try:
        text = "\n".join([*value, ""])
    except TypeError:
        return False
    # A line break within an entry would make one more.
    return text.count("\n") == len(value) and _ALL_SINGLE.fullmatch(text) is not None


class Limits(part.Part):
    """How much a customer or a trunk may call; emergency calls count and always pass."""

    calls: Annotated[scalars.Whole, Field(ge=1, le=1_000_000)] | None = None
    """Calls at once, both ways; the next one gets 503."""
    calls_per_second: Annotated[scalars.Whole, Field(ge=1, le=10_000)] | None = None
    """New calls in a second, both ways; the next one gets 503."""
    minutes_per_day: Annotated[scalars.Whole, Field(ge=1, le=1_000_000)] | None = None
    """Minutes that calls from Teams may talk in a day (UTC); then 403. Of a trunk: calls to it."""

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not any((self.calls, self.calls_per_second, self.minutes_per_day)):
            raise ValueError("limits are calls, calls_per_second or minutes_per_day")
        return self


BARRED: tuple[str, ...] = ("+870", "+881", "+882", "+883", "+979", *premium.NUMBERS)
"""What nobody's calls may begin with unless it is allowed: satellites (Inmarsat, GMSS),
international networks, the international premium rate service (ITU-T E.164, assigned codes, as
of 2026-11), and the countries' own. Fraud goes there, because whoever is called earns."""


class Destinations(part.Part):
    """Which numbers a customer's calls may go to; the longest beginning decides."""

    barred: tuple[part.Number, ...] = ()
    """What numbers begin with that may not be called, beside the ones that nobody may."""
    allowed: tuple[part.Number, ...] = ()
    """What numbers begin with that may be called all the same."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if both := sorted(set(self.barred) & set(self.allowed)):
            raise ValueError(f"{both[0]} is barred and allowed")
        return self


class Shown(StrEnum):
    """Which numbers of a customer's callers trunks see."""

    PASS = "pass"  # noqa: S105 - not a password
    MAIN = "main"
    OWN = "own"


class TenantCallerId(part.Part):
    """Which number trunks see in a customer's calls from Teams; who is anonymous stays so."""

    policy: Shown = Shown.PASS
    """pass, main (always the main number) or own (main for what is no number of the tenant)."""
    main: callers.E164 | None = None
    """The main number, in E.164; one of the tenant's own."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.policy is Shown.PASS and self.main:
            raise ValueError("main belongs to the policies main and own")
        if self.policy is not Shown.PASS and not self.main:
            raise ValueError(f"policy {self.policy} needs the main number: main: +493055500")
        return self


class Emergency(part.Part):
    """What is a customer's own in calls to the emergency numbers that routes name."""

    caller: callers.E164 | None = None
    """The number that trunks see, whoever calls: it is called back, so it is a tenant's own."""
    trunks: tuple[scalars.Name, ...] = ()
    """Trunks that are tried first, in order, before the targets of the site's route."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.caller is None and not self.trunks:
            raise ValueError("emergency has caller, trunks or both")
        return self


class OwnCertificate(part.Part):
    """The certificate of a tenant whose trunk is its own at Microsoft: acme or files."""

    acme: acme_parts.OwnAcme | None = None
    """Obtain it from a CA by ACME, for the name of the tenant alone."""
    files: acme_parts.CertificateFiles | None = None
    """Take it from two files."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.acme is None) == (self.files is None):
            raise ValueError("a certificate comes from acme or from files, exactly one of them")
        return self


@dataclass(frozen=True, slots=True)
class FullTrunk:
    """A tenant that Microsoft knows by an SBC of its own, and not by the provider's.

    Attributes:
        fqdn: The name of that SBC.
        address: Where Kamailio listens for it, and from where it dials.
        public: What the name resolves to.
        acme: How its certificate is obtained; None for one out of files.
        files: Those.
    """

    fqdn: str
    address: str
    public: str
    acme: acme_parts.Acme | None
    files: acme_parts.CertificateFiles | None


class Tenant(part.Part):
    """One customer of a provider: calls for its numbers are its own, and nobody else's."""

    fqdn: scalars.Fqdn
    """Its name in Contact, Record-Route and the calls from Teams, one label under teams.fqdn."""
    certificate: OwnCertificate | None = None
    """A certificate of its own, for a name anywhere; it needs an address of its own, too."""
    address: IPvAnyAddress | None = None
    """The address of this machine where its certificate is shown and Teams is dialled from."""
    public_address: IPvAnyAddress | None = None
    """What its fqdn resolves to when that is another address (1:1 NAT in a cloud)."""
    numbers: Annotated[tuple[Entry, ...], WrapValidator(_checked_together)] = Field(default=())
    """Its numbers, one by one or as FIRST-LAST."""
    prefixes: tuple[part.Number, ...] = ()
    """What further numbers of it begin with."""
    trunks: tuple[scalars.Name, ...] = ()
    """Its own trunks, in order; without any its calls follow routes and the shared trunks."""
    limits: Limits | None = None
    """How much it may call at once."""
    destinations: Destinations | None = None
    """Where its calls may go; by default everywhere but satellites and premium rate numbers."""
    caller_id: TenantCallerId | None = None
    """Which number trunks see in its calls from Teams; by default any but another tenant's."""
    emergency: Emergency | None = None
    """Under which number and by which trunks its emergency calls go, before the site's route."""

    @model_validator(mode="after")
    def _has_numbers(self) -> Self:
        if not self.numbers and not self.prefixes:
            raise ValueError("a tenant has numbers, prefixes or both")
        return self

    @model_validator(mode="after")
    def _has_both_or_none(self) -> Self:
        if (self.certificate is None) != (self.address is None):
            raise ValueError("a tenant has a certificate and an address of its own, or neither")
        if self.public_address is not None and self.address is None:
            raise ValueError("public_address is for a tenant with an address of its own")
        return self

    @property
    def full_trunk(self) -> FullTrunk | None:
        """What is its own of a tenant that has a certificate; None of all others."""
        if self.certificate is None or self.address is None:
            return None
        own = self.certificate.acme
        return FullTrunk(
            fqdn=self.fqdn,
            address=str(self.address),
            public=str(self.public_address or self.address),
            acme=acme_parts.Acme(**dict(own)) if own else None,
            files=self.certificate.files,
        )


def has_number(tenant: Tenant, number: str) -> bool:
    """Whether *number* is one of its own: as it is, within a range or below a prefix."""
    if number in tenant.numbers or number.startswith(tenant.prefixes):
        return True
    ends = (split(text) for text in tenant.numbers if "-" in text)
    # Numbers of one length are in the order of their text.
    return any(len(first) == len(number) and first <= number <= last for first, last in ends)


def count(tenant: Tenant) -> int:
    """How many numbers it has; those of prefixes are not counted, there is no end to them."""
    ranges = [text for text in tenant.numbers if "-" in text]
    ends = (split(text) for text in ranges)
    return len(tenant.numbers) - len(ranges) + sum(int(b) - int(a) + 1 for a, b in ends)
