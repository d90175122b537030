"""(certificate, the CA's window, attempts so far, now) -> renew now, wait, or nothing until when.

Pure and without chance: asked again with the same values it says the same, so a run from cron
that finds nothing to do costs nothing, and a crash loop cannot hide what it tried.

The rules:

1. Due is a point in the CA's own window (ARI, RFC 9773) where there is one, chosen by the
   certificate itself so that not all come at once; else two thirds of the life, and half of it
   for a life of days.
2. What cannot serve is due at once; so is what an operator forces.
3. At most four attempts that failed in any hour, whoever was asked. An attempt counts as failed
   from before it begins until it has succeeded.
4. A CA that named a time is not asked before it.
5. The second CA takes turns with the first once that has given nothing for a day, or has said
   that it will not for so long.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST_FAILURES = 4
"""In an hour; Let's Encrypt takes five failed validations of a name in an hour."""

HOUR = dt.timedelta(hours=1)
PATIENCE = dt.timedelta(days=1)
"""How long the first CA may give nothing until the second is asked as well."""

SHORT_LIVED = dt.timedelta(days=10)
"""Below this a life is one of days (CA/Browser Forum: short-lived certificates)."""

ASK_AGAIN = dt.timedelta(hours=6)
"""How long a window is believed of a CA that does not say (RFC 9773 section 4.3.3)."""

_ASK_BOUNDS = (dt.timedelta(minutes=1), dt.timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Life:
    """When a certificate is valid, and what makes it itself (its serial)."""

    begin: dt.datetime
    end: dt.datetime
    identity: str


@dataclass(frozen=True, slots=True)
class Window:
    """When the CA wants a certificate renewed.

    Attributes:
        identity: Which certificate.
        begin: From then on.
        end: Until then.
        reason: A page of the CA's that says why, if it named one.
    """

    identity: str
    begin: dt.datetime
    end: dt.datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A CA was asked and gave nothing, as far as is known.

    Attributes:
        at: When it began.
        ca: Its directory.
        retry_at: The time it named, if it named one.
    """

    at: dt.datetime
    ca: str
    retry_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered from one run to the next.

    Attributes:
        failed: Attempts that gave nothing since the last that did.
        window: What the CA said of a certificate.
        ask_again: When it may be asked again.
    """

    failed: tuple[Attempt, ...] = ()
    window: Window | None = None
    ask_again: dt.datetime | None = None


class Do(StrEnum):
    """What to do."""

    NOTHING = "nothing"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and when.

    Attributes:
        do: What.
        at: When the next thing is to do: now for RENEW.
        why: In some words.
        ca: Directory of the CA to ask; empty unless it is RENEW.
    """

    do: Do
    at: dt.datetime
    why: str
    ca: str = ""


def decide(
    life: Life | None,
    window: Window | None,
    failed: Sequence[Attempt],
    cas: Sequence[str],
    now: dt.datetime,
    *,
    unfit: str = "",
    force: bool = False,
) -> Decision:
    """Decide what to do about a certificate at *now*.

    Args:
        life: The certificate that serves; None when there is none.
        window: What the CA said of it, if anything.
        failed: Attempts that gave nothing since the last that did, in any order.
        cas: Directories of the CAs, in the order they are wanted.
        now: When.
        unfit: Why the certificate cannot serve; empty when it can.
        force: Renew although it is not due; attempts are counted all the same.
    """
    due, why = _due(life, window, now, unfit, force=force)
    if due > now:
        return Decision(Do.NOTHING, due, why)
    free = _after_the_hour(failed, now)
    if free > now:
        said = f"{MOST_FAILURES} attempts failed within an hour"
        return Decision(Do.WAIT, free, f"{why}; {said}")
    open_to_us, waits = [], []
    for ca in _asked(failed, cas, now):
        until = _retry_at(failed, ca)
        if until is None or until <= now:
            open_to_us.append(ca)
        else:
            waits.append(until)
    if not open_to_us:
        return Decision(Do.WAIT, min(waits), f"{why}; the CA asks for patience")
    return Decision(Do.RENEW, now, why, min(open_to_us, key=lambda ca: _last(failed, ca)))


def due(life: Life, window: Window | None) -> tuple[dt.datetime, str]:
    """When a certificate is to be renewed, and why then."""
    if window is not None and _is_sound(window, life):
        point = window.begin + (window.end - window.begin) * _share(life.identity)
        return point, "the CA's window (ARI)"
    whole = life.end - life.begin
    if whole < SHORT_LIVED:
        return life.begin + whole / 2, "half of its life"
    return life.begin + whole * 2 / 3, "two thirds of its life"


def believed_until(now: dt.datetime, seconds: float | None) -> dt.datetime:
    """When a CA may be asked for its window again, by the seconds it named."""
    least, most = _ASK_BOUNDS
    named = ASK_AGAIN if seconds is None else dt.timedelta(seconds=min(seconds, 1e9))
    return now + min(max(named, least), most)


def _due(
    life: Life | None, window: Window | None, now: dt.datetime, unfit: str, *, force: bool
) -> tuple[dt.datetime, str]:
    if life is None:
        return now, "there is none yet"
    if unfit:
        return now, unfit
    if force:
        return now, "it was asked for"
    return due(life, window)


def _is_sound(window: Window, life: Life) -> bool:
    """Whether a window is of this certificate and leaves it alive."""
    return window.identity == life.identity and window.begin <= window.end < life.end


def _share(identity: str) -> float:
    """A number from 0 to 1 that is always the same for a certificate, and spread over many."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:4], "big") / 0xFFFFFFFF


def _after_the_hour(failed: Sequence[Attempt], now: dt.datetime) -> dt.datetime:
    """When there are less than four failures within an hour again."""
    # A clock that was set back leaves attempts in the future; those far ahead count for nothing.
    near = sorted(each.at for each in failed if abs(now - each.at) < HOUR)
    return near[-MOST_FAILURES] + HOUR if len(near) >= MOST_FAILURES else now


def _asked(failed: Sequence[Attempt], cas: Sequence[str], now: dt.datetime) -> Sequence[str]:
    """The CAs that may be asked now: the first, and the others once its time is up."""
    first = [each for each in failed if each.ca == cas[0]]
    if not first:
        return cas[:1]
    began = min(each.at for each in first)
    named = _retry_at(failed, cas[0])
    long = max(now, named or now) - began >= PATIENCE
    return cas if long else cas[:1]


def _retry_at(failed: Sequence[Attempt], ca: str) -> dt.datetime | None:
    """The latest time that a CA named."""
    named = [each.retry_at for each in failed if each.ca == ca and each.retry_at is not None]
    return max(named, default=None)


def _last(failed: Sequence[Attempt], ca: str) -> dt.datetime:
    """When a CA was asked last; before all times when it was not."""
    earliest = dt.datetime.min.replace(tzinfo=dt.UTC)
    return max((each.at for each in failed if each.ca == ca), default=earliest)
