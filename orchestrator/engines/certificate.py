"""Certificates: what a pair of PEM files is worth, and which one a listener really serves.

A pair is never installed before it is proven (reliability.md 1.5, promise 2), whoever made it;
after the installation the handshake on the wire tells (promise 3).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import socket
import ssl

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orchestrator import errors, plan

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for a file that it cannot make sense of; not all are ValueErrors."""

_LEAST_LIFE = dt.timedelta(hours=1)
_SMALLEST_KEY = 2048


def find_faults(chain: bytes, key: bytes, *, name: str, now: dt.datetime) -> tuple[str, ...]:
    """Say why a pair cannot serve ``name`` at ``now``; nothing means that it can. Pure.

    Checked: it parses, key and certificate belong together, RSA of at least 2048 bits (TLS-3),
    the names cover ``name`` with a wildcard standing for one label (CERT-1), serverAuth,
    validity with one hour left, and each certificate of the chain signs the one before (TLS-4).

    Returns:
        Sentences without a full stop, in a fixed order.
    """
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except _UNREADABLE:
        return ("the chain holds no certificate in PEM form",)
    try:
        private = serialization.load_pem_private_key(key, password=None)
        public = _public_bytes(private.public_key())
    except _UNREADABLE:
        return ("the key is not a private key in PEM form without a passphrase",)
    try:
        return tuple(_pair_faults(certificates, public, name, now))
    except _UNREADABLE as strange:
        return (f"the chain holds what cannot be read: {strange}",)


def find_roots_fault(pem: bytes) -> str:
    """Say why a file cannot stand for the roots a peer is judged by; empty when it can. Pure."""
    try:
        roots = x509.load_pem_x509_certificates(pem)
        for root in roots:
            root.public_key()
    except _UNREADABLE:
        return "it holds no certificates in PEM form, or one that cannot be read"
    return ""


def find_chain_faults(chain: bytes, *, name: str, now: dt.datetime) -> tuple[str, ...]:
    """What :func:`find_faults` says of a chain whose key is not at hand. Pure."""
    try:
        return tuple(_faults(x509.load_pem_x509_certificates(chain), name, now))
    except _UNREADABLE as strange:
        return (f"the chain holds what cannot be read: {strange}",)


def _pair_faults(
    certificates: list[x509.Certificate], key: bytes, name: str, now: dt.datetime
) -> list[str]:
    faults = []
    if key != _public_bytes(certificates[0].public_key()):
        faults.append("the key does not belong to the certificate")
    return faults + _faults(certificates, name, now)


def _faults(certificates: list[x509.Certificate], name: str, now: dt.datetime) -> list[str]:
    leaf = certificates[0]
    faults: list[str] = []
    public = leaf.public_key()
    if not isinstance(public, rsa.RSAPublicKey) or public.key_size < _SMALLEST_KEY:
        faults.append("the key is not RSA of at least 2048 bits, which Teams needs (TLS-3)")
    names = _names(leaf)
    if not any(_covers(pattern, name) for pattern in names):
        held = ", ".join(names) or "no names"
        faults.append(f"the certificate is for {held}, not for {name} (CERT-1)")
    if not _is_for_servers(leaf):
        faults.append("the certificate is not for TLS servers (serverAuth)")
    faults += _time_faults(leaf, now)
    faults += _chain_faults(certificates)
    return faults


def read_pair(chain: bytes) -> plan.Pair:
    """What the plan must know about a certificate.

    Raises:
        ValueError: The chain holds no certificate that can be read.
    """
    try:
        return _pair(x509.load_pem_x509_certificates(chain)[0])
    except _UNREADABLE as strange:
        raise ValueError(str(strange)) from strange


def digest_of_leaf(chain: bytes) -> str:
    """SHA-256 of the first certificate as PEM text, in hex: Kamailio can compute the same."""
    leaf = x509.load_pem_x509_certificates(chain)[0]
    return hashlib.sha256(leaf.public_bytes(serialization.Encoding.PEM)).hexdigest()


def served(address: str, port: int, *, name: str, timeout: float = 3.0) -> plan.Pair:
    """The certificate a TLS listener presents, found out by a handshake.

    No certificate of ours is shown: a listener that insists on one has presented its own by
    then. Nothing is verified here; the caller compares.

    Raises:
        EngineSilent: Nobody listens there, or no handshake within ``timeout`` seconds.
        EngineRefused: The listener broke the handshake off before it showed a certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=timeout) as plain,
            context.wrap_socket(plain, server_hostname=name or None) as wire,
        ):
            leaf = wire.getpeercert(binary_form=True)
    except ssl.SSLError as error:
        raise errors.EngineRefused(
            f"the TLS handshake with {address}:{port} failed",
            words=str(error),
            hint="see Kamailio's log for the reason on its side",
        ) from error
    except OSError as error:
        raise errors.EngineSilent(
            f"no TLS handshake with {address}:{port}: {error}",
            hint="see whether Kamailio runs and whether a packet filter is in the way",
        ) from error
    if not leaf:
        raise errors.EngineRefused(f"{address}:{port} presented no certificate")
    try:
        return _pair(x509.load_der_x509_certificate(leaf))
    except _UNREADABLE as strange:
        raise errors.EngineRefused(
            f"{address}:{port} presented a certificate that cannot be read", words=str(strange)
        ) from strange


def _pair(leaf: x509.Certificate) -> plan.Pair:
    return plan.Pair(
        serial=leaf.serial_number,
        names=_names(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def _public_bytes(key: object) -> bytes:
    assert hasattr(key, "public_bytes")
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = names.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        found = []
    # Teams takes the name from CN as well (CERT-1); SAN wins where there is one.
    common = [str(cn.value) for cn in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(sorted(name.lower() for name in found or common))


def _covers(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        first, dot, rest = name.lower().partition(".")
        return bool(first and dot) and rest == pattern[2:]
    return pattern == name.lower()


def _is_for_servers(leaf: x509.Certificate) -> bool:
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return (
        ExtendedKeyUsageOID.SERVER_AUTH in usages
        or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages
    )


def _time_faults(leaf: x509.Certificate, now: dt.datetime) -> list[str]:
    if leaf.not_valid_before_utc > now:
        return [f"the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M}Z"]
    if leaf.not_valid_after_utc <= now:
        return [f"the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M}Z"]
    if leaf.not_valid_after_utc - now < _LEAST_LIFE:
        return [f"the certificate expires on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M}Z"]
    return []


def _chain_faults(certificates: list[x509.Certificate]) -> list[str]:
    if len(certificates) == 1 and certificates[0].issuer == certificates[0].subject:
        return ["the certificate signs itself, which Teams does not accept (TLS-4)"]
    for lower, upper in itertools.pairwise(certificates):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature):
            subject = upper.subject.rfc4514_string()
            return [f"the chain is out of order: {subject} did not sign the one before (TLS-4)"]
    return []
