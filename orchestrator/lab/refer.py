"""Transfers: REFER as Microsoft sends it, and what a PBX makes of one (RFC 3515, 3892; XF-1..11).

A blind transfer as a story tells it::

    refer.accept(callee)                                  # the PBX can be transferred
    moved = await lab.teams.transfer(caller, refer.opaque_target())
    asked = await callee.call.requested("REFER")
    new = await refer.follow(lab.pbx, callee, asked)      # NOTIFY 100, INVITE, NOTIFY on and on
    target = await lab.teams.next_leg()                   # the triggered INVITE, checked by XF-2
    target.ring(); target.answer()
    await new.connected()
    await moved.told(200)                                 # NOTIFY with 200
    await caller.hang_up()                                # or LEAVE_AFTER seconds after the 202
"""

from __future__ import annotations

import secrets
import urllib.parse
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Protocol

from orchestrator.lab import call, dialog, leg
from orchestrator.sip import build, grammar, message, uri

HOST = "sip.pstnhub.microsoft.com"
FRAGMENT_TYPE = "message/sipfrag"
LEAVE_AFTER = 0.28
"""Seconds after the 202 in which a hasty transferor has hung up."""

Leg = leg.OutgoingLeg | leg.IncomingLeg


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call shall go.

    Attributes:
        refer_to: The URI of Refer-To, which must come back byte for byte (XF-2, XF-3).
        referred_by: The value of Referred-By, which must come back too, or an empty string.
    """

    refer_to: str
    referred_by: str = ""

    @property
    def headers(self) -> build.Extra:
        """Refer-To and Referred-By."""
        by = (("Referred-By", self.referred_by),) if self.referred_by else ()
        return (("Refer-To", f"<{self.refer_to}>"), *by)


class Transfer:
    """A transfer that one side asked for.

    Attributes:
        target: Where the call shall go.
        answer: What the REFER was answered with.
    """

    def __init__(
        self, known: call.Call, target: Target, answer: message.Response, after: int
    ) -> None:
        self.target = target
        self.answer = answer
        self._call = known
        self._after = after

    @property
    def statuses(self) -> tuple[int, ...]:
        """What the NOTIFYs said so far, in the order they came."""
        told = self._call.requests.entries[self._after :]
        return tuple(status_of(each) for each in told if each.method == "NOTIFY")

    async def told(self, *statuses: int, within: float = call.WITHIN) -> int:
        """Wait for a NOTIFY with one of these codes; Silence when it does not come."""
        found = await self._call.requests.first(
            lambda r: r.method == "NOTIFY" and status_of(r) in statuses,
            within=within,
            what=f"a NOTIFY with {' or '.join(map(str, statuses))}",
            after=self._after,
        )
        return status_of(found)


class Dials(Protocol):
    """A PBX, a carrier or a phone that can call."""

    async def invite(
        self, target: str, *, caller: str, to: str, wishes: leg.Wishes = ...
    ) -> leg.OutgoingLeg:
        """Call by way of the SBC."""

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside."""


def opaque_target(user: str = "", *, consult: bool = False) -> Target:
    """A target as Microsoft writes it: some 400 characters nobody may touch (XF-3).

    Args:
        user: The number of a PSTN target; by default there is no user part.
        consult: Name the call that is to be replaced in ``x-tt`` (XF-10).
    """
    at = f"{user}@" if user else ""
    end = "user=phone;transport=tls" if user else "transport=tls"
    party = f"8:orgid:{_guid()}"
    ticket = urllib.parse.quote(secrets.token_urlsafe(150) + "/+=Ab") + "%2fAb%2FcD"
    replaced = f";x-tt={_call_of()}" if consult else ""
    to = f"sip:{at}{HOST}:5061;x-m={party};x-t={_guid()};x-ti={ticket}{replaced};{end}"
    by = (
        f"<sip:{HOST}:5061;x-m=8:orgid:{_guid()};x-t={_guid()};"
        f"x-ti={_guid()};x-tt={_call_of()};transport=tls>"
    )
    return Target(to, by)


async def transfer(
    known: Leg, target: Target, *, source: str = "", fresh: bool = False
) -> Transfer:
    """Ask the other side to call the target (REFER), from another address when asked (XF-9)."""
    after = len(known.call.requests.entries)
    assert known.call.dialog is not None, "no dialog yet"
    extra = (("Contact", known.call.dialog.contact), *target.headers)
    answer = await known.call.ask("REFER", extra=extra, source=source, fresh=fresh)
    return Transfer(known.call, target, answer, after)


def accept(known: Leg) -> None:
    """From now on a REFER is answered by 202."""
    known.call.answers["REFER"] = 202


async def follow(actor: Dials, known: Leg, asked: message.Request) -> leg.OutgoingLeg:
    """Do what a REFER asks, as a PBX does: NOTIFY 100, call the target, NOTIFY how it goes.

    The Request-URI is what Refer-To says, the headers it holds become headers, Referred-By is
    copied. ``media.bridge`` lets a third party hear the new call.

    Raises:
        SipError: There is no Refer-To.
    """
    target, carried = _split(uri.parse_name_addr(asked.need("Refer-To")).uri)
    by = tuple(("Referred-By", value) for value in asked.values("Referred-By"))
    await notify(known, 100)
    assert known.call.dialog is not None, "no dialog yet"
    own = known.call.dialog.local.uri
    wishes = leg.Wishes(extra=(*carried, *by))
    new = await actor.invite(target, caller=own, to=target, wishes=wishes)
    actor.spawn(_report(known, new.call))
    return new


async def notify(known: Leg, status: int) -> message.Response:
    """Tell the transferor how far the new call is (RFC 3515 section 2.4.5)."""
    state = "active;expires=60" if status < 200 else "terminated;reason=noresource"
    extra = (
        ("Event", "refer"),
        ("Subscription-State", state),
        ("Content-Type", f"{FRAGMENT_TYPE};version=2.0"),
    )
    reason = build.REASONS.get(status, "Unknown")
    body = f"SIP/2.0 {status} {reason}\r\n".encode()
    return await known.call.ask("NOTIFY", extra=extra, body=body)


def status_of(notified: message.Request) -> int:
    """The status in a NOTIFY's fragment, or 0 when there is none."""
    parts = grammar.decode(notified.body).split(" ", 2)
    known = notified.content_type == FRAGMENT_TYPE and parts[0] == "SIP/2.0" and len(parts) > 1
    return int(parts[1]) if known and parts[1].isdigit() else 0


def replaces(known: dialog.Dialog, *, early: bool = False) -> tuple[str, str]:
    """The header of an INVITE that takes over a dialog of ours (RFC 3891; XF-8).

    The tags are said as the one sees them who receives the INVITE.
    """
    value = f"{known.call_id};to-tag={known.remote.tag};from-tag={known.local.tag}"
    return ("Replaces", f"{value};early-only" if early else value)


async def _report(known: Leg, new: call.OutgoingCall) -> None:
    seen = 0
    while True:
        answer = await new.responses.first(
            lambda response: response.status > 100, within=60.0, what="an answer", after=seen
        )
        seen = new.responses.entries.index(answer) + 1
        if known.call.over.is_set():
            return
        await notify(known, answer.status)
        if answer.status >= 200:
            return


def _split(text: str) -> tuple[str, build.Extra]:
    """A URI without the headers in it, and these headers."""
    target, _, rest = text.partition("?")
    pairs = (each.partition("=") for each in rest.split("&") if each)
    return target, tuple((name, urllib.parse.unquote(value)) for name, _, value in pairs)


def _guid() -> str:
    raw = secrets.token_hex(16)
    return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))


def _call_of() -> str:
    return urllib.parse.quote(f"{secrets.token_urlsafe(24)}/aB+Zz")
