"""What the actors of the lab see and find: values only, for the wire, the rules, the stories."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What one finished TLS handshake showed of the peer.

    Attributes:
        version: For example ``TLSv1.2``.
        cipher: OpenSSL's name of the suite.
        names: DNS names and the common name in the peer's certificate, in lower case; empty when
            it presented none.
        key: ``RSA`` or ``EC`` and so on; empty when no certificate was presented.
        key_bits: Size of that key.
        purposes: The extended key usages, for example ``("serverAuth",)``.
        serial: Serial number of the certificate in hex, or an empty string.
        issuers: Certificates the peer sent besides its own.
        sni: The server name the dialling side asked for.
        dialled: True when the peer dialled us, False when we dialled the peer.
    """

    version: str
    cipher: str
    names: tuple[str, ...] = ()
    key: str = ""
    key_bits: int = 0
    purposes: tuple[str, ...] = ()
    serial: str = ""
    issuers: int = 0
    sni: str = ""
    dialled: bool = True


@dataclass(frozen=True, slots=True)
class TlsRefusal:
    """Why a handshake with a peer failed.

    Attributes:
        reason: OpenSSL's words, for example ``no shared cipher``.
        verify_code: The X.509 verification error (20: issuer not found, 10: expired ...), or 0.
        dialled: True when the peer dialled us.
    """

    reason: str
    verify_code: int = 0
    dialled: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Broken:
    """One rule that a peer broke.

    Attributes:
        id: The requirement, for example ``OPT-3`` (facts/teams.md).
        sentence: What is wrong, for an operator.
        excerpt: The line of the message that shows it, or an empty string.
    """

    id: str
    sentence: str
    excerpt: str = ""

    def __str__(self) -> str:
        shown = f"  [{self.excerpt}]" if self.excerpt else ""
        return f"{self.id}: {self.sentence}{shown}"


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule must know besides the message itself.

    Attributes:
        fqdn: The SBC's name at Microsoft.
        port: The SBC's signalling port, the one its gateway object names (OPT-4).
        hidden: Networks behind the SBC, whose addresses nobody outside may see (SIG-35).
        tls: The handshake of the connection the message came by, or None.
        dialog_contact: The receiver's Contact URI when the message is inside a dialog, verbatim.
        dialog_routes: The receiver's Record-Route URIs, topmost first.
        offer: The SDP that the message answers, or nothing.
        earlier: The SDP the SBC sent before in this dialog, or nothing.
        asked: The method of the request, when the message is a response.
        srtp: True when the receiver is a trunk that wants encrypted audio.
        tag: The To tag that earlier answers to the receiver's INVITE carried, or nothing (MED-9).
        refer: Numbers behind the SBC whose calls it lets Microsoft transfer by REFER (XF-1).
        transfers: Refer-To URIs the receiver asked for, each with its Referred-By (XF-2, XF-3).
        transferring: True when the receiver asked for a transfer in this dialog (XF-5).
        names: The URIs of the receiver and of the other side in this dialog, or nothing.
        outsider: True when the receiver is a carrier, which must not learn who really calls.
        number: The highest CSeq number the SBC used in this dialog (XF-4).
    """

    fqdn: str
    port: int = 5061
    hidden: tuple[str, ...] = ()
    tls: TlsFacts | None = None
    dialog_contact: str = ""
    dialog_routes: tuple[str, ...] = ()
    offer: bytes = b""
    earlier: bytes = b""
    asked: str = ""
    srtp: bool = False
    tag: str = ""
    refer: tuple[str, ...] = ()
    transfers: tuple[tuple[str, str], ...] = ()
    transferring: bool = False
    number: int = 0
    names: tuple[str, str] | None = None
    outsider: bool = False
