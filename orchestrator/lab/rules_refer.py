"""Rules of the transfers that Microsoft asks the SBC for; pure (facts/teams.md 5)."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator

from orchestrator.lab import evidence
from orchestrator.sip import grammar, message

Found = Iterator[tuple[str, str]]
_FRAGMENT = re.compile(r"SIP/2\.0 [1-6][0-9]{2} ")


def asked_for(target: str, context: evidence.Context) -> tuple[tuple[str, str], ...]:
    """Referred-By and Replaces of every REFER that asked for an INVITE to this URI.

    Headers in the URI of Refer-To are headers of the INVITE, and no part of its Request-URI
    (RFC 3261 section 19.1.5).
    """
    found = []
    for refer_to, referred_by in context.transfers:
        plain, _, headers = refer_to.partition("?")
        if plain == target:
            carried = dict(each.partition("=")[::2] for each in headers.split("&"))
            found.append((referred_by, urllib.parse.unquote(carried.get("Replaces", ""))))
    return tuple(found)


def triggered_call(parsed: message.Request | message.Response, context: evidence.Context) -> Found:
    """XF-2, XF-3: the INVITE after a REFER names Refer-To and Referred-By byte for byte."""
    if not isinstance(parsed, message.Request) or parsed.method != "INVITE":
        return
    if parsed.to.tag is not None or not context.transfers:
        return
    asked = asked_for(parsed.target, context)
    said = ", ".join(parsed.values("Referred-By"))
    replaces = ", ".join(parsed.values("Replaces"))
    if asked:
        if said not in {by for by, _ in asked}:
            yield "Referred-By is not the one of the REFER, byte for byte", f"Referred-By: {said}"
        if replaces not in {value for _, value in asked}:
            yield "Replaces is not the one of Refer-To", f"Replaces: {replaces}"
    elif said or ";x-t=" in parsed.target.lower():
        yield "the Request-URI is not the one of Refer-To, byte for byte", parsed.start_line


def notifications(parsed: message.Request | message.Response, context: evidence.Context) -> Found:
    """XF-4: a NOTIFY of a transfer holds a status line, and they come in the order of CSeq."""
    if not isinstance(parsed, message.Request) or parsed.method != "NOTIFY":
        return
    if not _FRAGMENT.match(grammar.decode(parsed.body)) or not _is_fragment(parsed):
        yield "a NOTIFY without a message/sipfrag that tells a status", parsed.start_line
    if (parsed.get("Event") or "").partition(";")[0].strip().lower() != "refer":
        yield "a NOTIFY that is not about a transfer", f"Event: {parsed.get('Event')}"
    if parsed.cseq.number < context.number:
        yield "a NOTIFY came after a later one", f"CSeq: {parsed.cseq}"


def early_farewell(parsed: message.Request | message.Response, context: evidence.Context) -> Found:
    """XF-5: the SBC does not end the call that is transferred; Microsoft does."""
    bye = isinstance(parsed, message.Request) and parsed.method == "BYE"
    if bye and context.transferring:
        yield "the SBC ended a call that is being transferred", parsed.start_line


def refer_to_teams(parsed: message.Request | message.Response, _: evidence.Context) -> Found:
    """XF-11: a trunk's REFER stays on the trunk's side; Microsoft does not allow the method."""
    if isinstance(parsed, message.Request) and parsed.method == "REFER":
        yield "Teams does not allow REFER", parsed.start_line


def _is_fragment(parsed: message.Request) -> bool:
    return parsed.content_type == "message/sipfrag"
