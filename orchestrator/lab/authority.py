"""Certificates of the lab: small CAs, and whatever they are asked to sign.

The CA that stands for Microsoft's has a root and an intermediate and issues what Microsoft shows
since 2026: an RSA key, ``*.pstnhub.microsoft.com``, server authentication only (EKU-1, TLS-3,
TLS-4 in facts/teams.md). A scenario may ask for anything else, also for what must be refused.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KeyKind = Literal["rsa", "ecdsa"]
Purpose = Literal["serverAuth", "clientAuth"]

_PURPOSES = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
}
_CLOCK_SLACK = dt.timedelta(hours=1)
_CA_LIFE = dt.timedelta(days=30)


GOVERNMENT = "government.pem"
"""The root that Microsoft's clouds for governments trust; its CA knows no ACME (CERT-6)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key, as two PEM files.

    Attributes:
        chain: The certificate, then its intermediates; not the root (TLS-4).
        key: Its private key, unencrypted, readable by the owner only.
    """

    chain: Path
    key: Path


class Authority:
    """One CA: it signs certificates and, when asked, an intermediate CA.

    Args:
        name: Common name of the CA.
        folder: Where its PEM files go; it must exist.
        issuer: Who signs this CA; None makes it a root that signs itself.
        key: Kind of the CA's own key; an ECDSA key is made in no time.
        now: The present, with a time zone.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path,
        issuer: Authority | None = None,
        key: KeyKind = "rsa",
        now: dt.datetime | None = None,
    ) -> None:
        self._folder = folder
        self._now = now or dt.datetime.now(dt.UTC)
        self.private_key = _new_key(key)
        self._issuer = issuer
        self.certificate = self._made_certificate(name)

    @property
    def pem(self) -> str:
        """This CA's certificate as PEM text; of a root: what goes into a trust store."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def issue(
        self,
        names: tuple[str, ...],
        *,
        purposes: tuple[Purpose, ...] = ("serverAuth",),
        key: KeyKind = "rsa",
        days: float = 7,
    ) -> Identity:
        """Issue a certificate for *names*, the first of which becomes the common name.

        Args:
            names: DNS names or addresses.
            purposes: Extended key usages; none leaves the extension out.
            key: Kind of the new key: RSA 2048 or ECDSA P-256.
            days: How long it is valid; a negative number makes one that has expired.
        """
        private = _new_key(key)
        end = self._now + dt.timedelta(days=days)
        builder = (
            _builder(names[0], self.certificate.subject, private)
            .not_valid_before(min(self._now, end) - _CLOCK_SLACK)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
            .add_extension(self._authority_key(), critical=False)
        )
        if purposes:
            usage = x509.ExtendedKeyUsage(_PURPOSES[purpose] for purpose in purposes)
            builder = builder.add_extension(usage, critical=False)
        certificate = builder.sign(self.private_key, hashes.SHA256())
        return self._written(certificate, private)

    def _made_certificate(self, name: str) -> x509.Certificate:
        signer = self._issuer or self
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issued_by = self._issuer.certificate.subject if self._issuer else subject
        path_length = 0 if self._issuer else None
        builder = (
            _builder(name, issued_by, self.private_key)
            .not_valid_before(self._now - _CLOCK_SLACK)
            .not_valid_after(self._now + _CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(_signing_only(), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.private_key.public_key()),
                critical=False,
            )
        )
        return builder.sign(signer.private_key, hashes.SHA256())

    def _authority_key(self) -> x509.AuthorityKeyIdentifier:
        known = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known.value)

    def _written(self, certificate: x509.Certificate, key: PrivateKey) -> Identity:
        stem = f"{certificate.serial_number:x}"[:12]
        chain = self._folder / f"{stem}-chain.pem"
        above = self.pem if self._issuer else ""
        leaf = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        chain.write_text(leaf + above, encoding="ascii")
        file = self._folder / f"{stem}-key.pem"
        file.touch(mode=0o600)
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Identity(chain=chain, key=file)


def buy(host: str, folder: Path) -> str:
    """Lay down a certificate for *host* as a person would who bought one, and return its root.

    Args:
        host: The name in it.
        folder: Where ``sbc-chain.pem``, ``sbc-key.pem`` and the root are laid.
    """
    top = Authority("Lab Government Root", folder=folder)
    bought = Authority("Lab Government TLS", folder=folder, issuer=top).issue((host,))
    bought.chain.rename(folder / "sbc-chain.pem")
    bought.key.rename(folder / "sbc-key.pem")
    (folder / GOVERNMENT).write_text(top.pem, encoding="ascii")
    return top.pem


def _new_key(kind: KeyKind) -> PrivateKey:
    if kind == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _builder(name: str, issuer: x509.Name, key: PrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
