"""How Microsoft finds the tenant of a call: by the name in Contact, then by the number in it."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.sip import message, uri

Tenants = Mapping[str, tuple[str, ...]]
"""The name of each derived trunk, and the numbers of the tenant that uses it."""


def expected_name(parsed: message.Request | message.Response, tenants: Tenants) -> str:
    """The name the SBC must show on a call that begins; empty when no tenant has the number.

    A number that several tenants have is of the one whose name is shown (facts/teams.md 4.3).
    """
    if not isinstance(parsed, message.Request) or parsed.method != "INVITE":
        return ""
    number = uri.parse_uri(parsed.target).user or ""
    holders = [name for name, numbers in tenants.items() if number in numbers]
    shown = [uri.parse_uri(each.uri).host.lower() for each in parsed.contacts[:1]]
    return next((name for name in holders if name in shown), holders[0] if holders else "")
