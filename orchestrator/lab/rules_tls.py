"""Rules of the TLS connection and of the certificate the SBC presents; pure (facts/teams.md 2)."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.lab import evidence
from orchestrator.sip import message, uri

_OLD_VERSIONS = {"SSLv3", "TLSv1", "TLSv1.1"}
_SUITES = (
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES128-SHA256",
)
_MIN_RSA_BITS = 2048
_NO_ISSUER = ("TLS-4", "the SBC's chain does not lead to a root: is an intermediate missing?")
_CODES = {
    2: _NO_ISSUER,
    9: ("REN-2", "the SBC's certificate is not valid yet"),
    10: ("REN-2", "the SBC's certificate has expired"),
    18: ("CERT-6", "the SBC presents a self-signed certificate"),
    19: ("CERT-6", "the SBC's chain ends in a root that Microsoft does not trust"),
    20: _NO_ISSUER,
    21: _NO_ISSUER,
}
"""OpenSSL's verification errors, by number."""

_WORDS = (
    ("not return a certificate", "TLS-5", "the SBC presents no certificate when it dials"),
    ("no shared cipher", "TLS-3", "no common ECDHE-RSA suite: is the SBC's key RSA?"),
    ("handshake failure", "TLS-3", "no common ECDHE-RSA suite: is the SBC's key RSA?"),
    ("certificate", "EKU-1", "the SBC refuses Microsoft's certificate (serverAuth only)"),
    ("unknown ca", "EKU-1", "the SBC does not trust Microsoft's certificate"),
    ("version", "TLS-1", "the SBC does not speak TLS 1.2"),
    ("protocol", "TLS-1", "the SBC does not speak TLS 1.2"),
)
"""What a handshake's failure says, the first that fits."""


def covers(names: tuple[str, ...], host: str) -> bool:
    """True when a certificate with these names is good for *host*.

    A wildcard stands for exactly one label (CERT-1).
    """
    host = host.lower().rstrip(".")
    _, dot, parent = host.partition(".")
    return host in names or (bool(dot) and f"*.{parent}" in names)


def check_connection(
    facts: evidence.TlsFacts, context: evidence.Context
) -> tuple[evidence.Broken, ...]:
    """Every rule that a finished handshake with the SBC breaks."""
    return tuple(
        evidence.Broken(rule, sentence, excerpt)
        for rule, sentence, excerpt in _find_in_connection(facts, context)
    )


def explain_refusal(refusal: evidence.TlsRefusal) -> evidence.Broken:
    """The rule behind a handshake that failed."""
    reason, code = refusal.reason, refusal.verify_code
    if code in _CODES:
        return evidence.Broken(*_CODES[code], reason)
    for words, rule, sentence in _WORDS:
        if words in reason and (rule != "EKU-1" or not refusal.dialled):
            return evidence.Broken(rule, sentence, reason)
    return evidence.Broken("TLS", "the TLS handshake with the SBC failed", reason)


def identity_not_in_certificate(
    parsed: message.Request | message.Response, context: evidence.Context
) -> Iterator[tuple[str, str]]:
    """CERT-3: the host of Contact and of the top Record-Route is in the certificate."""
    if context.tls is None or not context.tls.names or not isinstance(parsed, message.Request):
        return
    for name, addresses in (("Contact", parsed.contacts), ("Record-Route", parsed.record_routes)):
        for address in addresses[:1]:
            if not covers(context.tls.names, uri.parse_uri(address.uri).host):
                names = ", ".join(context.tls.names)
                yield f"{name} names a host that is not in the certificate ({names})", str(address)


def _find_in_connection(
    facts: evidence.TlsFacts, context: evidence.Context
) -> Iterator[tuple[str, str, str]]:
    if facts.version in _OLD_VERSIONS:
        yield "TLS-1", "TLS older than 1.2", facts.version
    if facts.version == "TLSv1.2" and facts.cipher not in _SUITES:
        yield "TLS-2", "a suite that Microsoft does not take", facts.cipher
    if not facts.names and not facts.key:
        rule = "TLS-5" if facts.dialled else "CERT-1"
        yield rule, "the SBC presents no certificate", ""
        return
    if facts.key != "RSA" or facts.key_bits < _MIN_RSA_BITS:
        key = f"{facts.key} {facts.key_bits}"
        yield "TLS-3", "the SBC's key must be RSA with 2048 bits or more", key
    if facts.issuers == 0:
        yield "TLS-4", "the SBC sends its certificate without the intermediates", ""
    if not covers(facts.names, context.fqdn):
        names = ", ".join(facts.names)
        yield "CERT-1", f"the SBC's certificate does not hold {context.fqdn}", names
