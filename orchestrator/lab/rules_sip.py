"""Rules of the SIP the SBC sends to Microsoft; pure (facts/teams.md 3, 4 and 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import TypeGuard

from orchestrator.lab import evidence, rules_refer
from orchestrator.sip import build, grammar, message, uri

Either = message.Request | message.Response
Found = Iterator[tuple[str, str]]

PSTNHUB = (
    ".pstnhub.microsoft.com",
    ".pstnhub.gov.teams.microsoft.us",
    ".pstnhub.dod.teams.microsoft.us",
)
_E164 = re.compile(r"\+[1-9][0-9]{3,14}(;ext=[0-9]+)?")
_IPV4 = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])")
_URIS = ("From", "To", "Contact", "Route", "Record-Route", "Refer-To", "Referred-By")
_VIA_LIKE = {"via", "call-id"}


def sips_scheme(parsed: Either, _: evidence.Context) -> Found:
    """TLS-1: ``sips:`` is not supported; TLS is asked for by ``;transport=tls``."""
    if isinstance(parsed, message.Request) and parsed.target.lower().startswith("sips:"):
        yield "sips: is not supported by Microsoft", parsed.start_line
    for name in _URIS:
        for value in parsed.listed(name):
            if uri.parse_name_addr(value).uri.lower().startswith("sips:"):
                yield "sips: is not supported by Microsoft", f"{name}: {value}"


def options_target(parsed: Either, context: evidence.Context) -> Found:
    """OPT-2: Request-URI and To name a pstnhub host at 5061, From the SBC's FQDN."""
    if not _is_request(parsed, "OPTIONS") or parsed.to.tag is not None:
        return
    for name, text in (("Request-URI", parsed.target), ("To", parsed.to.uri)):
        host = uri.parse_uri(text).host.lower()
        if not host.endswith(PSTNHUB):
            yield f"{name} of OPTIONS names no pstnhub host", text
    if uri.parse_uri(parsed.target).port != 5061:
        yield "OPTIONS does not name port 5061", parsed.target
    if uri.parse_uri(parsed.from_.uri).host.lower() != context.fqdn:
        yield f"From of OPTIONS is not at {context.fqdn}", f"From: {parsed.from_}"


def options_contact(parsed: Either, context: evidence.Context) -> Found:
    """OPT-3: OPTIONS carry a Contact with the FQDN and ``transport=tls``."""
    if not _is_request(parsed, "OPTIONS"):
        return
    if not parsed.contacts:
        also = " and no Record-Route" if not parsed.record_routes else ""
        yield f"OPTIONS without Contact{also}", ""
        return
    yield from _bad_identity(parsed.contacts[0], "Contact", context)


def contact_port(parsed: Either, context: evidence.Context) -> Found:
    """OPT-4: the port in Contact is the one Microsoft was told to dial."""
    for contact in parsed.contacts[:1]:
        address = uri.parse_uri(contact.uri)
        if (address.port or 5061) != context.port:
            yield f"Contact does not name port {context.port}", f"Contact: {contact}"


def options_origin(parsed: Either, context: evidence.Context) -> Found:
    """OPT-5: the top Via of OPTIONS is the FQDN; no zero or private address in Via or Call-ID."""
    if not _is_request(parsed, "OPTIONS"):
        return
    if parsed.top_via.host.lower() != context.fqdn:
        yield f"the top Via of OPTIONS is not {context.fqdn}", f"Via: {parsed.top_via}"
    for name in ("Via", "Call-ID"):
        for value in parsed.values(name):
            if _hidden_in(value, context) or "0.0.0.0" in value:  # noqa: S104 - it is looked for
                yield f"{name} of OPTIONS shows an internal address", f"{name}: {value}"


def options_answer(parsed: Either, context: evidence.Context) -> Found:
    """OPT-6: the 200 to Teams' OPTIONS has Contact with the FQDN, and Allow with NOTIFY."""
    if not isinstance(parsed, message.Response) or parsed.cseq.method != "OPTIONS":
        return
    if parsed.status != 200:
        yield "Teams' OPTIONS is not answered by 200", parsed.start_line
        return
    if not parsed.contacts:
        yield "the 200 to OPTIONS has no Contact", ""
    for contact in parsed.contacts[:1]:
        yield from _bad_identity(contact, "Contact", context)
    if not parsed.values("Allow"):
        yield "the 200 to OPTIONS has no Allow", ""
    elif "notify" not in parsed.tokens("Allow"):
        yield "Allow in the 200 to OPTIONS lacks NOTIFY", f"Allow: {parsed.get('Allow')}"


def options_allow(parsed: Either, _: evidence.Context) -> Found:
    """OPT-7: our own OPTIONS carry Allow as well."""
    if _is_request(parsed, "OPTIONS") and not parsed.values("Allow"):
        yield "OPTIONS without Allow", ""


def empty_user(parsed: Either, _: evidence.Context) -> Found:
    """OPT-9: where there is an ``@`` there is a user before it."""
    for name in ("From", "To", "Contact"):
        for value in parsed.listed(name):
            address = uri.parse_name_addr(value).uri
            if address.lower().startswith("sip:") and uri.parse_uri(address).user == "":
                yield f"{name} has an empty user before its @", f"{name}: {value}"


def transfer_mode(parsed: Either, context: evidence.Context) -> Found:
    """XF-1: Allow lists REFER where it is carried out and nowhere else, Supported no replaces."""
    own = parsed.from_ if isinstance(parsed, message.Request) else parsed.to
    wanted = (uri.parse_uri(own.uri).user or "").partition(";")[0] in context.refer
    listed = "refer" in parsed.tokens("Allow")
    if listed and not wanted:
        yield "Allow lists REFER, which this SBC does not carry out", f"Allow: {_all(parsed)}"
    if wanted and not listed and _begins_dialog(parsed):
        yield "Allow lacks REFER, which this SBC carries out", f"Allow: {_all(parsed)}"
    if "replaces" in parsed.tokens("Supported"):
        value = ", ".join(parsed.values("Supported"))
        yield "Supported lists replaces, which this SBC does not carry out", f"Supported: {value}"


def invite_target(parsed: Either, context: evidence.Context) -> Found:
    """SIG-1: the Request-URI is ``sip:+E.164@...pstnhub...;user=phone``, or what REFER named."""
    if not _is_initial_invite(parsed) or rules_refer.asked_for(parsed.target, context):
        return
    target = uri.parse_uri(parsed.target)
    if not _E164.fullmatch(target.user or ""):
        yield "the called number is not E.164 with a plus", parsed.start_line
    if not target.host.lower().endswith(PSTNHUB):
        yield "the Request-URI names no pstnhub host", parsed.start_line
    if (target.param("user") or "").lower() != "phone":
        yield "the Request-URI lacks user=phone", parsed.start_line


def invite_caller(parsed: Either, context: evidence.Context) -> Found:
    """SIG-2: From is the caller's E.164 number at the SBC's FQDN, or anonymous."""
    if not _is_initial_invite(parsed):
        return
    caller = uri.parse_uri(parsed.from_.uri)
    shown = f"From: {parsed.from_}"
    if (caller.user or "").lower() == "anonymous":
        return
    if not _E164.fullmatch(caller.user or ""):
        yield "the caller's number is not E.164 with a plus", shown
    if caller.host.lower() != context.fqdn:
        yield f"From is not at {context.fqdn}", shown


def invite_contact(parsed: Either, context: evidence.Context) -> Found:
    """SIG-4: whatever begins or refreshes a dialog has the FQDN in Contact."""
    cseq = parsed.cseq.method
    if isinstance(parsed, message.Response):
        needed = cseq == "INVITE" and 200 <= parsed.status < 300
    else:
        needed = cseq == "INVITE"
    if not needed:
        return
    if not parsed.contacts:
        yield "no Contact in what makes a dialog", parsed.start_line
    for contact in parsed.contacts[:1]:
        yield from _bad_identity(contact, "Contact", context)


def top_record_route(parsed: Either, context: evidence.Context) -> Found:
    """SIG-5: the top Record-Route towards Teams is the SBC's FQDN."""
    if not isinstance(parsed, message.Request):
        return
    for route in parsed.record_routes[:1]:
        host = uri.parse_uri(route.uri).host.lower()
        if host != context.fqdn:
            yield f"the top Record-Route is not {context.fqdn}", f"Record-Route: {route}"


def delayed_offer(parsed: Either, _: evidence.Context) -> Found:
    """SIG-6: the first INVITE carries SDP."""
    if _is_initial_invite(parsed) and parsed.content_type != build.SDP_TYPE:
        yield "an INVITE without SDP: Teams knows no delayed offer", parsed.start_line


def replaces(parsed: Either, context: evidence.Context) -> Found:
    """SIG-7: no Replaces header but the one that a REFER asked for."""
    wanted = isinstance(parsed, message.Request) and rules_refer.asked_for(parsed.target, context)
    for value in () if wanted else parsed.values("Replaces"):
        yield "Replaces is rejected since April 2022", f"Replaces: {value}"


def dialog_target(parsed: Either, context: evidence.Context) -> Found:
    """SIG-12: in a dialog the Request-URI is our Contact and Route our Record-Route, exactly."""
    if not isinstance(parsed, message.Request) or not context.dialog_contact:
        return
    if parsed.method == "CANCEL" or parsed.to.tag is None:
        return
    if parsed.target != context.dialog_contact:
        sentence = f"the Request-URI is not the Contact {context.dialog_contact}, byte for byte"
        yield sentence, parsed.start_line
    routes = tuple(route.uri for route in parsed.routes)
    if routes != context.dialog_routes:
        wanted = ", ".join(context.dialog_routes) or "none"
        yield f"the Route is not our Record-Route ({wanted})", f"Route: {', '.join(routes)}"


def changed_name(parsed: Either, context: evidence.Context) -> Found:
    """SIG-12: whatever it is called elsewhere, a party keeps its From and To in its dialog."""
    if context.names is None or (isinstance(parsed, message.Request) and not parsed.to.tag):
        return
    own, other = context.names
    if isinstance(parsed, message.Response):
        own, other = other, own
    for name, address, wanted in (("From", parsed.from_, other), ("To", parsed.to, own)):
        if address.uri != wanted:
            yield f"{name} of this dialog was {wanted}", f"{name}: {address}"


def told_identity(parsed: Either, _: evidence.Context) -> Found:
    """SIG-8: Teams reads neither of these, and they tell of what is behind the SBC."""
    for name in ("History-Info", "Diversion", "P-Asserted-Identity", "Remote-Party-ID", "Privacy"):
        for value in parsed.values(name):
            yield f"{name} reaches Microsoft, which does not read it", f"{name}: {value}"[:120]


def reliable_provisional(parsed: Either, _: evidence.Context) -> Found:
    """SIG-13: no 100rel; and none of the methods that Teams does not allow."""
    for name in ("Supported", "Require"):
        if "100rel" in parsed.tokens(name):
            yield f"100rel in {name}: Teams knows no PRACK", f"{name}: {parsed.get(name)}"
    if isinstance(parsed, message.Request) and parsed.method in {"PRACK", "UPDATE", "INFO"}:
        yield f"Teams does not allow {parsed.method}", parsed.start_line


def second_tag(parsed: Either, context: evidence.Context) -> Found:
    """MED-9: forks and failover behind the SBC do not show: one To tag in all 18x and 2xx."""
    if not isinstance(parsed, message.Response) or parsed.cseq.method != "INVITE":
        return
    tag = parsed.to.tag
    if 100 < parsed.status < 300 and context.tag and tag != context.tag:
        yield "a second To tag answers our INVITE", f"To: {parsed.to}"


def product_name(parsed: Either, _: evidence.Context) -> Found:
    """SIG-34: User-Agent or Server names the product, in OPTIONS both ways and in INVITE."""
    if isinstance(parsed, message.Response):
        wanted = parsed.cseq.method == "OPTIONS" and parsed.status == 200
        name = "Server"
    else:
        wanted, name = parsed.method == "OPTIONS", "User-Agent"
    if wanted and not (parsed.get(name) or parsed.get("User-Agent")):
        yield f"no {name} that names the SBC", parsed.start_line


def hidden_address(parsed: Either, context: evidence.Context) -> Found:
    """SIG-35: no address from behind the SBC outside of lower Vias and the Call-ID.

    A proxy keeps the PBX's Via and Call-ID (engines2.md 6); the top Via is its own and is strict.
    """
    if isinstance(parsed, message.Request):
        if _hidden_in(parsed.target, context):
            yield "the Request-URI shows an address behind the SBC", parsed.start_line
        if _hidden_in(str(parsed.top_via), context):
            yield "the top Via shows an address behind the SBC", f"Via: {parsed.top_via}"
    for header in parsed.headers:
        if header.key not in _VIA_LIKE and _hidden_in(header.value, context):
            excerpt = f"{header.name}: {header.value}"[:160]
            yield f"{header.name} shows an address behind the SBC", excerpt
    if parsed.content_type == build.SDP_TYPE:
        for line in grammar.decode(parsed.body).splitlines():
            if _hidden_in(line, context):
                yield "the SDP shows an address behind the SBC", line[:160]


def _bad_identity(address: uri.NameAddr, name: str, context: evidence.Context) -> Found:
    host = uri.parse_uri(address.uri)
    if _IPV4.fullmatch(host.host) or host.host.startswith("["):
        yield f"{name} holds an IP address, which Microsoft answers by 403", f"{name}: {address}"
    elif host.host.lower() != context.fqdn:
        yield f"{name} is not at {context.fqdn}", f"{name}: {address}"
    if (host.param("transport") or "").lower() != "tls":
        yield f"{name} lacks transport=tls", f"{name}: {address}"


def _is_request(parsed: Either, method: str) -> TypeGuard[message.Request]:
    return isinstance(parsed, message.Request) and parsed.method == method


def _begins_dialog(parsed: Either) -> bool:
    if isinstance(parsed, message.Request):
        return _is_initial_invite(parsed)
    return parsed.cseq.method == "INVITE" and parsed.status == 200


def _is_initial_invite(parsed: Either) -> TypeGuard[message.Request]:
    return _is_request(parsed, "INVITE") and parsed.to.tag is None


def _hidden_in(text: str, context: evidence.Context) -> bool:
    networks = [ip_network(network) for network in context.hidden]
    for found in _IPV4.findall(text):
        try:
            address = ip_address(found)
        except ValueError:
            continue
        if any(address in network for network in networks):
            return True
    return False


def _all(parsed: Either) -> str:
    return ", ".join(parsed.values("Allow"))


def other_body(parsed: Either, _: evidence.Context) -> Iterator[tuple[str, str]]:
    """EM-1: Teams understands an SDP and nothing beside it (540415)."""
    if parsed.cseq.method == "INVITE" and parsed.body and parsed.content_type != build.SDP_TYPE:
        yield "a body that Teams does not understand (415)", parsed.content_type
