"""Pairs that must never be installed: each wrong in one way, with the words it is refused by."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import certs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "sbc.example.com"
OTHER_NAME = "sbc.example.net"
KEY = certs.pem_key(certs.rsa_key())
CA = certs.Ca("Bad Pairs Root")
OLD = certs.Ca("Old Root", key=certs.rsa_key(7))
STRANGER = certs.Ca("Stranger Root")
MIDDLE_KEY = ec.generate_private_key(ec.SECP256R1())
_SHA256_WITH_RSA = bytes.fromhex("2a864886f70d01010b")
_SHA1_WITH_RSA = bytes.fromhex("2a864886f70d010105")
DAY = dt.timedelta(days=1)


def built(
    subject: str,
    *,
    key=MIDDLE_KEY,
    by: certs.Ca | None = None,
    issuer: str = "",
    signer=None,
    authority: bool = True,
    begin: dt.timedelta = -30 * DAY,
    end: dt.timedelta = 300 * DAY,
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> bytes:
    """A certificate by hand; by default an intermediate that *by* signed."""
    by = by or CA

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer or by.name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(certs.NOW + begin)
        .not_valid_after(certs.NOW + end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    signed = builder.sign(signer or by.key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def leaf(**how) -> bytes:
    """A leaf for NAME by hand."""
    how.setdefault("extensions", (x509.SubjectAlternativeName([x509.DNSName(NAME)]),))
    return built(NAME, key=certs.rsa_key(), authority=False, **how)


def under_middle(**how) -> bytes:
    """A leaf that the intermediate signed."""
    return leaf(issuer="Middle CA", signer=MIDDLE_KEY, **how)


def by_sha1(pem: bytes) -> bytes:
    """The same certificate, signed by OLD with SHA-1: nobody makes one by a builder any more."""
    found = x509.load_pem_x509_certificate(pem)
    whole, signed = found.public_bytes(serialization.Encoding.DER), found.tbs_certificate_bytes
    new = signed.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    whole = whole.replace(signed, new).replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    signature = OLD.key.sign(new, padding.PKCS1v15(), hashes.SHA1())
    whole = whole.replace(found.signature, signature)
    again = x509.load_der_x509_certificate(whole)
    return again.public_bytes(serialization.Encoding.PEM)


def _no_signing() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        key_encipherment=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key(private, encryption=None, encoding=serialization.Encoding.PEM) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return private.private_bytes(encoding, form, encryption or serialization.NoEncryption())


def _keys() -> Iterator[tuple[str, bytes, bytes, str]]:
    good = CA.leaf(NAME) + CA.pem
    mine, curve, small = (
        certs.rsa_key(),
        ec.generate_private_key(ec.SECP256R1()),
        certs.rsa_key(9, 1024),
    )
    long = certs.rsa_key(10, 4104)
    phrase = serialization.BestAvailableEncryption(b"secret")
    public = mine.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    yield "no key", good, b"", "not a private key in PEM form: it is empty"
    yield "nonsense as key", good, b"nonsense", "not a private key in PEM form"
    yield "public key", good, public, "it holds the public key only"
    yield "key in DER", good, _key(mine, encoding=serialization.Encoding.DER), "in DER form"
    yield "certificate as key", good, good, "it holds a certificate: are the two files swapped"
    yield "encrypted key", good, _key(mine, phrase), "the key is encrypted"
    yield "several keys", good, certs.pem_key(certs.rsa_key(5)) + KEY, "holds 2 private keys"
    yield "key of another", good, certs.pem_key(certs.rsa_key(5)), "key does not belong"
    yield (
        "no RSA",
        CA.leaf(NAME, key=curve) + CA.pem,
        certs.pem_key(curve),
        "is not RSA of",
    )
    yield "short RSA", CA.leaf(NAME, key=small) + CA.pem, certs.pem_key(small), "is not RSA of"
    yield "long RSA", CA.leaf(NAME, key=long) + CA.pem, certs.pem_key(long), "has 4104 bits"


def _files() -> Iterator[tuple[str, bytes, bytes, str]]:
    good = CA.leaf(NAME)
    der = x509.load_pem_x509_certificate(good).public_bytes(serialization.Encoding.DER)
    request = b"-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n"
    bundle = b"-----BEGIN PKCS7-----\nAA==\n-----END PKCS7-----\n"
    yield "no chain", b"", KEY, "no certificate in PEM form: it is empty"
    yield "chain in DER", der, KEY, "no certificate in PEM form: it is in DER form"
    yield "request", request, KEY, "it holds the request for one (CSR)"
    yield "PKCS 7", bundle, KEY, "it is PKCS #7"
    yield "key as chain", KEY, KEY, "it holds a private key: are the two files swapped"
    yield "cut off", good[: len(good) // 2], KEY, "no certificate in PEM form"
    yield "key in the chain", good + CA.pem + KEY, KEY, "the chain holds a private key"


def _leaves() -> Iterator[tuple[str, bytes, bytes, str]]:
    for kind, chain, said in (
        ("other name", CA.leaf("other.example.com"), "is for other.example.com, not for sbc.exa"),
        ("wildcard below", CA.leaf(f"*.{NAME}"), f"is for *.{NAME}, not for {NAME}"),
        ("wildcard two labels up", CA.leaf("*.com"), f"is for *.com, not for {NAME}"),
        ("no name", CA.leaf(NAME, common=False, alternative=False), "is for no names, not for"),
        (
            "for clients",
            CA.leaf(NAME, usage=ExtendedKeyUsageOID.CLIENT_AUTH),
            "not for TLS serv",
        ),
        ("may not sign", leaf(extensions=(_no_signing(),)), "key may not sign"),
        ("not yet valid", CA.leaf(NAME, begin=DAY), "the certificate is not valid before"),
        ("expired", CA.leaf(NAME, end=-DAY / 24), "the certificate expired on"),
        ("nearly expired", CA.leaf(NAME, end=DAY / 30), "the certificate expires on"),
        ("SHA-1", by_sha1(leaf(by=OLD)), "is signed with SHA1"),
        ("CA as leaf", built(NAME, key=certs.rsa_key()), "is a CA's own"),
    ):
        yield kind, chain + CA.pem, KEY, said
    own = certs.Ca(NAME)
    yield "self-signed", own.pem, certs.pem_key(own.key), "signs itself"


def _chains() -> Iterator[tuple[str, bytes, bytes, str]]:
    plain, good, middle = CA.leaf(NAME), under_middle(), built("Middle CA")
    no_authority = built("Middle CA", authority=False)
    for kind, chain, said in (
        ("root first", CA.pem + plain, "the certificate of sbc.example.com is not first"),
        (
            "wrong order",
            good + CA.pem + middle,
            "is out of order: CN=Bad Pairs Root did",
        ),
        ("missing in between", good + CA.pem, "Middle CA did and is missing"),
        ("stands alone", good, "an intermediate is missing: the certificate stands alone"),
        ("foreign CA", plain + STRANGER.pem, "CN=Stranger Root did not sign the one before"),
        ("twice", plain + plain + CA.pem, f"the chain holds {NAME} twice"),
        (
            "intermediate expired",
            good + built("Middle CA", end=-DAY),
            "Middle CA in the chain",
        ),
        ("intermediate is no CA", good + no_authority + CA.pem, "Middle CA signed the one before"),
        ("intermediate by SHA-1", good + by_sha1(built("Middle CA", by=OLD)), "with SHA1"),
    ):
        yield kind, chain, KEY, said


PAIRS = [*_keys(), *_files(), *_leaves(), *_chains()]
"""Kind, chain, key, and words of the sentence it is refused by."""
