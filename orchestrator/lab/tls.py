"""TLS for the lab's actors, over memory buffers; sans I/O.

pyOpenSSL and not the standard library, because the simulator must do what ``ssl`` cannot: as a
server, accept a client certificate that carries serverAuth only (EKU-4; OpenSSL's purpose check
cannot be switched off in ``ssl``), and say which verification error refused a peer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL, crypto

from orchestrator.lab import evidence

TEAMS_CIPHERS = (
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES128-SHA256",
)
"""The suites Microsoft documents (TLS-2)."""

_UNSUITABLE_PURPOSE = 26
_PURPOSES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
}


class HandshakeFailed(Exception):
    """The handshake is over and failed; ``refusal`` says why."""

    def __init__(self, refusal: evidence.TlsRefusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an actor is on TLS and whom it believes; paths of PEM files."""

    chain: Path
    key: Path
    roots: Path


class Session:
    """One TLS session over memory buffers: bytes in, bytes out, no socket.

    With a server name we dial and ask for that name; without one the peer dials.

    Args:
        identity: Who we are and whom we believe.
        server_name: The name to ask for.
        ciphers: The TLS 1.2 suites to take; empty for any suite of any version.
        demanding: False to let a peer in that shows no certificate.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        server_name: str = "",
        ciphers: str = "",
        demanding: bool = True,
    ) -> None:
        self.facts: evidence.TlsFacts | None = None
        self.closed = False
        self._parted = False
        self._verify_codes: list[int] = []
        self._dialled = not server_name
        self._server_name = server_name
        context = _context(identity, ciphers)
        must = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if demanding else 0
        context.set_verify(SSL.VERIFY_PEER | must, self._verified)
        self._connection = SSL.Connection(context, None)
        if server_name:
            self._connection.set_tlsext_host_name(server_name.encode())
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()

    def start(self) -> bytes:
        """The first bytes to send; none when the peer dials."""
        if not self._dialled:
            self._shake()
        return self.outgoing()

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the wire and return the clear text in them; see also ``outgoing``.

        Raises:
            HandshakeFailed: The handshake failed; ``outgoing`` may hold an alert to send.
        """
        self._connection.bio_write(data)
        if self.facts is None:
            self._shake()
        if self.facts is None:
            return b""
        clear = bytearray()
        try:
            while True:
                clear += self._connection.recv(16384)
        except SSL.WantReadError:
            pass
        except (SSL.ZeroReturnError, SSL.SysCallError, SSL.Error):
            self.closed = True
        return bytes(clear)

    def send(self, clear: bytes) -> bytes:
        """The bytes on the wire for this clear text; only after the handshake."""
        self._connection.sendall(clear)
        return self.outgoing()

    def close(self) -> bytes:
        """The bytes that say good-bye; said once, however often one closes."""
        if self.facts is not None and not self.closed and not self._parted:
            self._parted = True
            self._connection.shutdown()
        return self.outgoing()

    def outgoing(self) -> bytes:
        """What the session wants to put on the wire now."""
        waiting = bytearray()
        try:
            while True:
                waiting += self._connection.bio_read(16384)
        except SSL.WantReadError:
            return bytes(waiting)

    def _shake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            code = self._verify_codes[0] if self._verify_codes else 0
            refusal = evidence.TlsRefusal(_words(error), code, self._dialled)
            raise HandshakeFailed(refusal) from error
        self.facts = self._read_facts()

    def _verified(
        self, _: SSL.Connection, __: crypto.X509, code: int, depth: int, accepted: int
    ) -> bool:
        if accepted:
            return True
        if code == _UNSUITABLE_PURPOSE and depth == 0:
            # Public CAs issue serverAuth-only since 2026; Microsoft takes them (facts 2.4).
            return True
        self._verify_codes.append(code)
        return False

    def _read_facts(self) -> evidence.TlsFacts:
        leaf = self._connection.get_peer_certificate(as_cryptography=True)
        sent = self._connection.get_peer_cert_chain(as_cryptography=True) or []
        name = self._connection.get_servername() if self._dialled else self._server_name.encode()
        facts = evidence.TlsFacts(
            version=self._connection.get_protocol_version_name(),
            cipher=self._connection.get_cipher_name() or "",
            sni=(name or b"").decode("ascii", "replace"),
            dialled=self._dialled,
        )
        return facts if leaf is None else _with_certificate(facts, leaf, sent)


def _context(identity: Identity, ciphers: str) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    if ciphers:
        # A list of TLS 1.2 suites binds only when 1.3 is off (TLS-2, TLS-3).
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(ciphers.encode())
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.use_certificate_chain_file(str(identity.chain))
    context.use_privatekey_file(str(identity.key))
    context.load_verify_locations(str(identity.roots))
    return context


def _with_certificate(
    facts: evidence.TlsFacts, leaf: x509.Certificate, sent: list[x509.Certificate]
) -> evidence.TlsFacts:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        kind = "RSA"
    else:
        kind = "EC" if isinstance(key, ec.EllipticCurvePublicKey) else "other"
    return evidence.TlsFacts(
        version=facts.version,
        cipher=facts.cipher,
        sni=facts.sni,
        dialled=facts.dialled,
        names=names_of(leaf),
        key=kind,
        key_bits=int(getattr(key, "key_size", 0)),
        purposes=_purposes_of(leaf),
        serial=f"{leaf.serial_number:x}",
        issuers=sum(1 for certificate in sent if certificate != leaf),
    )


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and common names in a certificate, lower case, without repeats."""
    found = [
        str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    ]
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        found += extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        pass
    return tuple(dict.fromkeys(name.lower() for name in found))


def _purposes_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return ()
    return tuple(_PURPOSES.get(oid, oid.dotted_string) for oid in extension.value)


def _words(error: SSL.Error) -> str:
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(str(entry[-1]) for entry in entries) or type(error).__name__
