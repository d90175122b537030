"""What Microsoft and the PBX check in what the SBC sends them: a table of small pure functions.

Each rule is named after its requirement in facts/teams.md. A rule that finds nothing says
nothing; a rule that cannot read the message leaves it to ``SIP`` and ``SDP``, which say that it
is malformed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.lab import evidence, rules_media, rules_refer, rules_sip, rules_tls, rules_trunk
from orchestrator.sip import grammar, message

Find = Callable[[message.Request | message.Response, evidence.Context], Iterator[tuple[str, str]]]
"""Yields a sentence and an excerpt for each place where the rule is broken."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement and the function that finds where it is broken."""

    id: str
    find: Find


TEAMS: tuple[Rule, ...] = (
    Rule("TLS-1", rules_sip.sips_scheme),
    Rule("CERT-3", rules_tls.identity_not_in_certificate),
    Rule("OPT-2", rules_sip.options_target),
    Rule("OPT-3", rules_sip.options_contact),
    Rule("OPT-4", rules_sip.contact_port),
    Rule("OPT-5", rules_sip.options_origin),
    Rule("OPT-6", rules_sip.options_answer),
    Rule("OPT-7", rules_sip.options_allow),
    Rule("OPT-9", rules_sip.empty_user),
    Rule("XF-1", rules_sip.transfer_mode),
    Rule("XF-2", rules_refer.triggered_call),
    Rule("XF-4", rules_refer.notifications),
    Rule("XF-5", rules_refer.early_farewell),
    Rule("XF-11", rules_refer.refer_to_teams),
    Rule("SIG-1", rules_sip.invite_target),
    Rule("SIG-2", rules_sip.invite_caller),
    Rule("SIG-4", rules_sip.invite_contact),
    Rule("SIG-5", rules_sip.top_record_route),
    Rule("SIG-6", rules_sip.delayed_offer),
    Rule("SIG-7", rules_sip.replaces),
    Rule("SIG-8", rules_sip.told_identity),
    Rule("SIG-12", rules_sip.dialog_target),
    Rule("SIG-12", rules_sip.changed_name),
    Rule("SIG-13", rules_sip.reliable_provisional),
    Rule("SIG-32", rules_media.zero_address),
    Rule("SIG-34", rules_sip.product_name),
    Rule("SIG-35", rules_sip.hidden_address),
    Rule("EM-1", rules_sip.other_body),
    Rule("SDP", rules_media.malformed),
    Rule("MED-1", rules_media.crypto_line),
    Rule("MED-2", rules_media.secure_profile),
    Rule("MED-3", rules_media.other_suites),
    Rule("MED-4", rules_media.key_lifetime),
    Rule("MED-6", rules_media.moved_port),
    Rule("MED-7", rules_media.changed_key),
    Rule("MED-9", rules_sip.second_tag),
    Rule("MED-10", rules_media.one_way_direction),
    Rule("MED-12", rules_media.rtcp),
    Rule("MED-15", rules_media.codecs),
    Rule("MED-16", rules_media.repeated_number),
)
"""What holds for each message from the SBC to Microsoft."""

TRUNK: tuple[Rule, ...] = (
    Rule("SIG-12", rules_sip.dialog_target),
    Rule("SIG-12", rules_sip.changed_name),
    Rule("SIG-16", rules_trunk.busy_cause),
    Rule("SIG-17", rules_trunk.long_datagram),
    Rule("SIG-23", rules_trunk.leaked_identity),
    Rule("SIG-35", rules_trunk.leaked_header),
    Rule("SIG-35", rules_trunk.leaked_name),
    Rule("SDP", rules_media.malformed),
    Rule("MED-11", rules_trunk.leaked_attribute),
    Rule("EM-1", rules_trunk.strayed_location),
    Rule("MED-16", rules_media.repeated_number),
)
"""What holds for each message from the SBC to a PBX, a carrier or a phone."""

check_connection = rules_tls.check_connection
"""The rules of a finished TLS handshake."""
explain_refusal = rules_tls.explain_refusal
"""The rule that a failed TLS handshake broke."""


def check(
    parsed: message.Request | message.Response,
    context: evidence.Context,
    table: tuple[Rule, ...] = TEAMS,
) -> tuple[evidence.Broken, ...]:
    """Every rule of *table* that this message breaks, in the order of the table."""
    found: list[evidence.Broken] = []
    for rule in table:
        try:
            places = tuple(rule.find(parsed, context))
        except grammar.SipError as error:
            # One rule says it is malformed; the others that stumble over it say no more.
            places = (("the message cannot be read", error.reason),)
            rule = Rule("SIP", rule.find)  # noqa: PLW2901 - named for what was found
        found.extend(evidence.Broken(rule.id, sentence, excerpt) for sentence, excerpt in places)
    return tuple(dict.fromkeys(found))
