"""ARI (RFC 9773): when a CA wants a certificate of its own renewed; two GETs, no account."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping

from cryptography import x509

from orchestrator import proof, renewal
from orchestrator.host import web


def ask(
    directory: str, chain: bytes, *, trusted: str, now: dt.datetime
) -> tuple[renewal.Window | None, dt.datetime]:
    """Ask a CA; blocks for some seconds at most.

    Args:
        directory: The CA's directory URL.
        chain: The certificate, PEM; what is above it does not matter.
        trusted: PEM file of the CAs to believe.
        now: When.

    Returns:
        The window, None when there is none to be had, and when to ask again.
    """
    leaf = x509.load_pem_x509_certificates(chain)[0]
    name = identifier(leaf)
    found = web.get(directory, trusted=trusted)
    where = found.content.get("renewalInfo")
    if not name or not isinstance(where, str) or not where.startswith("https://"):
        return None, renewal.believed_until(now, found.retry_after)
    told = web.get(f"{where.rstrip('/')}/{name}", trusted=trusted)
    again = renewal.believed_until(now, told.retry_after)
    return _window(told.content, f"{leaf.serial_number:x}"), again


def identifier(leaf: x509.Certificate) -> str:
    """What a certificate is called there; empty when it does not name its issuer's key."""
    try:
        issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except (*proof.UNREADABLE, x509.ExtensionNotFound):
        return ""
    if issuer.key_identifier is None:
        return ""
    # The serial as DER writes an integer: with a zero in front where it would look negative.
    serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
    return f"{_base64(issuer.key_identifier)}.{_base64(serial)}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _window(content: Mapping[str, object], identity: str) -> renewal.Window | None:
    asked = content.get("suggestedWindow")
    if not isinstance(asked, dict):
        return None
    try:
        begin, end = (dt.datetime.fromisoformat(str(asked[key])) for key in ("start", "end"))
    except (KeyError, ValueError):
        return None
    if begin.tzinfo is None or end.tzinfo is None:
        return None
    reason = content.get("explanationURL")
    said = reason if isinstance(reason, str) and reason.startswith("https://") else ""
    return renewal.Window(identity, begin, end, said)
