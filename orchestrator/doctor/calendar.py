"""What changes next at Microsoft and at the CAs, and what it means for a site; pure.

Dates are data with a source and the day they were read. Somebody else decides them: what is said
here may have moved since.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

AS_OF = dt.date(2026, 11, 26)
"""When the sources were read."""

_OLD = dt.timedelta(days=365)
_SOON = dt.timedelta(days=30)


class Who(StrEnum):
    """Whose change it is."""

    LETS_ENCRYPT = "Let's Encrypt"
    EVERY_CA = "every public CA"
    MICROSOFT = "Microsoft"


@dataclass(frozen=True, slots=True)
class Change:
    """One announced change.

    Attributes:
        day: The day it takes effect.
        who: Whose it is.
        what: What changes, as the end of a sentence.
        days: How long a certificate may live from then on; 0 when it is about something else.
        source: Where it was announced.
    """

    day: dt.date
    who: Who
    what: str
    days: int
    source: str


CHANGES = (
    Change(
        dt.date(2026, 6, 30),
        Who.MICROSOFT,
        "shows certificates of any of seven roots, for serverAuth only",
        0,
        "message center post MC1213773",
    ),
    Change(
        dt.date(2027, 2, 10),
        Who.LETS_ENCRYPT,
        "issues certificates for 64 days instead of 90",
        64,
        "letsencrypt.org/2026/10/07/64-day-certs",
    ),
    Change(
        dt.date(2027, 3, 15),
        Who.EVERY_CA,
        "issues for 100 days at most instead of 200",
        100,
        "CA/Browser Forum, Baseline Requirements 6.3.2",
    ),
    Change(
        dt.date(2028, 2, 16),
        Who.LETS_ENCRYPT,
        "issues certificates for 45 days",
        45,
        "letsencrypt.org/docs/cert-lifetimes",
    ),
    Change(
        dt.date(2029, 3, 15),
        Who.EVERY_CA,
        "issues for 47 days at most",
        47,
        "CA/Browser Forum, Baseline Requirements 6.3.2",
    ),
)
"""All of them, in order."""


def next_change(now: dt.datetime, *, acme: bool, lets_encrypt: bool) -> Change | None:
    """The next change that concerns a site; None when none is known.

    Args:
        now: The present.
        acme: Whether its certificate comes by ACME.
        lets_encrypt: Whether it comes from Let's Encrypt.
    """
    for change in CHANGES:
        if change.day <= now.date():
            continue
        if change.who is Who.LETS_ENCRYPT and not (acme and lets_encrypt):
            continue
        if change.who is Who.EVERY_CA and acme and lets_encrypt:
            continue
        return change
    return None


def is_soon(change: Change, now: dt.datetime) -> bool:
    """Whether it is less than a month away."""
    return change.day - now.date() <= _SOON


def is_old(now: dt.datetime) -> bool:
    """Whether these dates were read more than a year ago."""
    return now.date() - AS_OF > _OLD
