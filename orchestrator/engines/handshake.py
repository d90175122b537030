"""A handshake with a TLS listener: every certificate it shows, in the order it shows them.

pyOpenSSL and not the standard library: ``ssl`` of Python 3.11 hands out the first one only.
"""

from __future__ import annotations

import select
import socket
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

from orchestrator import errors

SECONDS = 3.0


def shown_chain(address: str, port: int, *, name: str) -> bytes:
    """The certificates a listener shows for *name*, as PEM; nothing is verified.

    We show none. A listener that insists on one has shown its own by then.

    Raises:
        EngineSilent: Nobody listens there, or no handshake within :data:`SECONDS`.
        EngineRefused: The listener broke the handshake off.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    until = time.monotonic() + SECONDS
    try:
        with socket.create_connection((address, port), timeout=SECONDS) as plain:
            plain.settimeout(0)
            wire = SSL.Connection(context, plain)
            wire.set_tlsext_host_name(name.encode("ascii"))
            wire.set_connect_state()
            refused = _shake(wire, plain, until)
            chain = wire.get_peer_cert_chain(as_cryptography=True) or ()
            if refused and not chain:
                raise refused
    except SSL.Error as error:
        raise errors.EngineRefused(
            f"the TLS handshake with {address}:{port} failed", words=str(error)
        ) from error
    except OSError as error:
        raise errors.EngineSilent(f"no TLS handshake with {address}:{port}: {error}") from error
    return b"".join(_pem(each) for each in chain)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _shake(wire: SSL.Connection, plain: socket.socket, until: float) -> SSL.Error | None:
    """Shake hands; what the listener says when it breaks off."""
    while True:
        try:
            wire.do_handshake()
        except SSL.WantReadError:
            left = until - time.monotonic()
            if left <= 0 or not select.select([plain], [], [], left)[0]:
                raise TimeoutError(f"no answer within {SECONDS:.0f} s") from None
        except SSL.Error as refused:
            return refused
        else:
            return None
