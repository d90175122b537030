"""Certificates: what the plan must know about one, and which one a listener really serves.

What a pair is worth is decided in ``proof``, before it is installed; after the installation the
handshake on the wire tells (reliability.md 1.5, promise 3).
"""

from __future__ import annotations

import hashlib
import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from orchestrator import errors, plan, proof


def read_pair(chain: bytes) -> plan.Pair:
    """What the plan must know about a certificate.

    Raises:
        ValueError: The chain holds no certificate that can be read.
    """
    try:
        return _pair(x509.load_pem_x509_certificates(chain)[0])
    except proof.UNREADABLE as strange:
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
    except proof.UNREADABLE as strange:
        raise errors.EngineRefused(
            f"{address}:{port} presented a certificate that cannot be read", words=str(strange)
        ) from strange


def _pair(leaf: x509.Certificate) -> plan.Pair:
    return plan.Pair(
        serial=leaf.serial_number,
        names=proof.names_in(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )
