"""What a pair of PEM files is worth: never install what is not proven; pure.

A fault keeps a pair from being installed, whoever made it. A remark does not: what only Microsoft
knows today (which CAs it takes) is told and not decided here. Each is a sentence without a full
stop that says what is wrong with what; all of them are said at once.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orchestrator.site import trust_program

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for a file that it cannot make sense of; not all are ValueErrors."""

NOT_SIGNED = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)
"""What tells that one certificate did not sign another."""

LEAST_LIFE = dt.timedelta(hours=1)
"""A certificate that ends within this time is not worth to be installed."""

_SMALLEST_KEY = 2048
_LONGEST_KEY = 4096
_WEAK = (hashes.MD5, hashes.SHA1)
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_PRIVATE = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_NO_CERTIFICATE = (
    (re.compile(rb"\A\s*\Z"), "it is empty"),
    (re.compile(rb"\A\x30"), "it is in DER form, which openssl x509 -inform der turns into PEM"),
    (re.compile(rb"-BEGIN (NEW )?CERTIFICATE REQUEST-"), "it holds the request for one (CSR)"),
    (
        re.compile(rb"-BEGIN PKCS7-"),
        "it is PKCS #7: openssl pkcs7 -print_certs turns it into PEM",
    ),
    (_PRIVATE, "it holds a private key: are the two files swapped?"),
)
_NO_KEY = (
    (re.compile(rb"\A\s*\Z"), "it is empty"),
    (re.compile(rb"-BEGIN CERTIFICATE-"), "it holds a certificate: are the two files swapped?"),
    (re.compile(rb"-BEGIN PUBLIC KEY-"), "it holds the public key only"),
    (re.compile(rb"\A\x30"), "it is in DER form, which openssl pkey -inform der turns into PEM"),
)


def find_faults(
    chain: bytes, key: bytes, *, names: Iterable[str], now: dt.datetime, roots: bytes = b""
) -> tuple[str, ...]:
    """Say why a pair cannot serve *names* at *now*; nothing means that it can.

    Args:
        chain: The certificate and those above it, PEM.
        key: Its private key, PEM.
        names: Every name of the site; a wildcard stands for one label (CERT-1).
        now: When.
        roots: The roots this machine knows, PEM; without them a missing intermediate of a
            certificate that stands alone cannot be seen.

    Returns:
        Sentences without a full stop, in a fixed order.
    """
    faults = []
    if _PRIVATE.search(chain) and _BLOCK.search(chain):
        faults.append("the chain holds a private key: leave the certificates only")
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except UNREADABLE:
        return (f"the chain holds no certificate in PEM form{_why(chain, _NO_CERTIFICATE)}",)
    public, fault = _public(key)
    if fault:
        return (*faults, fault)
    try:
        ours = [each for each in certificates if _public_bytes(each.public_key()) == public]
        if not ours:
            faults.append("the key does not belong to the certificate")
        elif ours[0] != certificates[0]:
            name = _short(ours[0].subject)
            faults.append(
                f"the chain is out of order: the certificate of {name} is not first (TLS-4)"
            )
            certificates = [ours[0], *(each for each in certificates if each not in ours)]
        return (*faults, *_faults(certificates, tuple(names), now, roots))
    except UNREADABLE as strange:
        return (*faults, f"the chain holds what cannot be read: {strange}")


def find_chain_faults(
    chain: bytes, *, names: Iterable[str], now: dt.datetime, roots: bytes = b""
) -> tuple[str, ...]:
    """What :func:`find_faults` says of a chain whose key is not at hand."""
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        return tuple(_faults(certificates, tuple(names), now, roots))
    except UNREADABLE as strange:
        return (f"the chain holds what cannot be read: {strange}",)


def find_remarks(chain: bytes, *, roots: bytes) -> tuple[str, ...]:
    """What is worth knowing about a chain without faults: who vouches for it (CERT-6)."""
    if not roots:
        return ()
    top = x509.load_pem_x509_certificates(chain)[-1]
    root = root_of(top, roots)
    if root is None:
        own = top.subject if _signs_itself(top) else top.issuer
        said = (
            f"the chain ends at {_short(own)}, which no root of this machine is: Microsoft takes"
            " CAs of its Trusted Root Program only, not private ones"
        )
        return (said,)
    if root.fingerprint(hashes.SHA256()).hex() in trust_program.ROOTS:
        return ()
    said = (
        f"the chain ends at {_short(root.subject)}, which is not in our copy of Microsoft's"
        f" Trusted Root Program (as of {trust_program.AS_OF}): look for it in today's"
    )
    return (said,)


def find_roots_fault(pem: bytes) -> str:
    """Say why a file cannot stand for the roots a peer is judged by; empty when it can."""
    try:
        roots = x509.load_pem_x509_certificates(pem)
        for root in roots:
            root.public_key()
    except UNREADABLE:
        return "it holds no certificates in PEM form, or one that cannot be read"
    return ""


def names_in(leaf: x509.Certificate) -> tuple[str, ...]:
    """The DNS names a certificate is for, in lower case, sorted."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = names.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        found = []
    # Teams takes the name from CN as well (CERT-1); SAN wins where there is one.
    common = [str(cn.value) for cn in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(sorted(name.lower() for name in found or common))


def root_of(top: x509.Certificate, roots: bytes) -> x509.Certificate | None:
    """The root in *roots* (PEM) that signed *top* or is *top*; None when there is none."""
    for root in readable(roots):
        if root == top or (root.subject == top.issuer and _signed(top, root)):
            return root
    return None


@functools.lru_cache(maxsize=2)
def readable(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a store; old roots that cryptography does not like are passed over."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in _BLOCK.findall(pem):
            try:
                found.append(x509.load_pem_x509_certificate(block))
            except ValueError:
                continue
    return tuple(found)


# -- the files ------------------------------------------------------------------------------


def _why(content: bytes, known: Sequence[tuple[re.Pattern[bytes], str]]) -> str:
    """What it is instead, as far as one can tell."""
    for pattern, reason in known:
        if pattern.search(content):
            return f": {reason}"
    return ""


@functools.lru_cache(maxsize=16)
def _public(key: bytes) -> tuple[bytes, str]:
    """The public half of a private key, or why there is none; a key is asked about several times.

    Whether an RSA key is one takes longer than all else that is asked of a pair.
    """
    if (count := len(_PRIVATE.findall(key))) > 1:
        return b"", f"the key file holds {count} private keys: leave the certificate's only"
    if b"ENCRYPTED" in key:
        return b"", "the key is encrypted: Kamailio can ask nobody for the passphrase"
    try:
        return _public_bytes(serialization.load_pem_private_key(key, None).public_key()), ""
    except UNREADABLE:
        return b"", f"the key is not a private key in PEM form{_why(key, _NO_KEY)}"


def _public_bytes(key: object) -> bytes:
    assert hasattr(key, "public_bytes")
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


# -- the certificate ------------------------------------------------------------------------


def _faults(
    certificates: list[x509.Certificate], names: tuple[str, ...], now: dt.datetime, roots: bytes
) -> Iterator[str]:
    leaf = certificates[0]
    yield from _key_faults(leaf)
    held = names_in(leaf)
    for name in names:
        if not any(_covers(pattern, name) for pattern in held):
            listed = ", ".join(held) or "no names"
            yield f"the certificate is for {listed}, not for {name} (CERT-1)"
    if not _is_for_servers(leaf):
        yield "the certificate is not for TLS servers (serverAuth)"
    if not _may_sign(leaf):
        yield "the certificate's key may not sign (its keyUsage lacks digitalSignature)"
    yield from _time_faults(leaf, "the certificate", now)
    if _signs_itself(leaf) and len(certificates) == 1:
        yield "the certificate signs itself, which Teams does not accept (TLS-4)"
    if _is_ca(leaf):
        yield f"the first certificate is a CA's own ({_short(leaf.subject)}): the SBC's goes first"
    yield from _chain_faults(certificates, now)
    yield from _alone(certificates, roots)


def _key_faults(leaf: x509.Certificate) -> Iterator[str]:
    public = leaf.public_key()
    if not isinstance(public, rsa.RSAPublicKey) or public.key_size < _SMALLEST_KEY:
        yield "the key is not RSA of at least 2048 bits, which Teams needs (TLS-3)"
    elif public.key_size > _LONGEST_KEY:
        yield (
            f"the key has {public.key_size} bits: each handshake would hold up all others;"
            " 2048 or 3072 are right"
        )


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


def _may_sign(leaf: x509.Certificate) -> bool:
    """Whether it is good for ECDHE, where the server signs; nothing said means yes."""
    try:
        return leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return True


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _time_faults(each: x509.Certificate, called: str, now: dt.datetime) -> Iterator[str]:
    begin, end = each.not_valid_before_utc, each.not_valid_after_utc
    if begin > now:
        yield f"{called} is not valid before {begin:%Y-%m-%d %H:%M}Z"
    elif end <= now:
        yield f"{called} expired on {end:%Y-%m-%d %H:%M}Z"
    elif end - now < LEAST_LIFE:
        yield f"{called} expires on {end:%Y-%m-%d %H:%M}Z"


# -- the chain ------------------------------------------------------------------------------


def _chain_faults(certificates: list[x509.Certificate], now: dt.datetime) -> Iterator[str]:
    chain = list(dict.fromkeys(certificates))
    if len(chain) < len(certificates):
        twice = next(each for each in chain if certificates.count(each) > 1)
        yield f"the chain holds {_short(twice.subject)} twice"
    for each in chain:
        # Nobody checks the signature of a root: it is believed for what it is.
        if isinstance(each.signature_hash_algorithm, _WEAK) and not _signs_itself(each):
            name = each.signature_hash_algorithm.name.upper()
            yield f"{_short(each.subject)} is signed with {name}, which is broken"
    for each in chain[1:]:
        yield from _time_faults(each, f"{_short(each.subject)} in the chain", now)
    for lower, upper in itertools.pairwise(chain):
        if not _signed(lower, upper):
            yield _out_of_order(lower, upper, chain)
            return
        if not _is_ca(upper):
            yield f"{_short(upper.subject)} signed the one before and is no CA"


def _out_of_order(
    lower: x509.Certificate, upper: x509.Certificate, chain: list[x509.Certificate]
) -> str:
    said = (
        f"the chain is out of order: {upper.subject.rfc4514_string()} did not sign the one before"
    )
    if _signs_itself(lower) or any(_signed(lower, each) for each in chain):
        return f"{said} (TLS-4)"
    return f"{said}, {_short(lower.issuer)} did and is missing (TLS-4)"


def _alone(certificates: list[x509.Certificate], roots: bytes) -> Iterator[str]:
    """A certificate without any above it, of a CA that is no root."""
    leaf = certificates[0]
    if len(set(certificates)) > 1 or not roots or _signs_itself(leaf):
        return
    if root_of(leaf, roots) is None:
        yield (
            f"an intermediate is missing: the certificate stands alone, and {_short(leaf.issuer)},"
            " which signed it, is no root this machine knows (TLS-4); add the CA's certificates"
        )


def _signed(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except NOT_SIGNED:
        return False
    return True


def _signs_itself(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def _short(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()
