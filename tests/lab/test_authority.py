"""The lab's CA issues what Microsoft shows, and whatever else a scenario asks for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from orchestrator.lab import authority

NAMES = ("sip.pstnhub.microsoft.com", "*.pstnhub.microsoft.com")


@pytest.fixture
def root(tmp_path: Path) -> authority.Authority:
    return authority.Authority("root", folder=tmp_path)


@pytest.fixture
def issuing(root: authority.Authority, tmp_path: Path) -> authority.Authority:
    return authority.Authority("issuing", folder=tmp_path, issuer=root)


def verified(root: authority.Authority, chain: Path, name: str) -> list[x509.Certificate]:
    leaf, *between = x509.load_pem_x509_certificates(chain.read_bytes())
    store = verification.Store([root.certificate])
    verifier = verification.PolicyBuilder().store(store)
    return verifier.build_server_verifier(x509.DNSName(name)).verify(leaf, between)


def leaf_of(identity: authority.Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificates(identity.chain.read_bytes())[0]


def usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_the_chain_verifies_up_to_the_root_that_is_not_in_it(
    root: authority.Authority, issuing: authority.Authority
) -> None:
    identity = issuing.issue(NAMES)
    for name in ("sip.pstnhub.microsoft.com", "api-du-a-euwe.pstnhub.microsoft.com"):
        assert len(verified(root, identity.chain, name)) == 3
    assert identity.chain.read_text(encoding="ascii").count("BEGIN CERTIFICATE") == 2
    assert root.pem not in identity.chain.read_text(encoding="ascii")


def test_another_name_is_not_in_it(
    root: authority.Authority, issuing: authority.Authority
) -> None:
    with pytest.raises(verification.VerificationError):
        verified(root, issuing.issue(NAMES).chain, "sbc.example.com")


def test_microsofts_certificate_is_rsa_and_for_servers_only(
    issuing: authority.Authority,
) -> None:
    identity = issuing.issue(NAMES)
    assert usages(leaf_of(identity)) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert isinstance(leaf_of(identity).public_key(), rsa.RSAPublicKey)
    assert identity.key.stat().st_mode & 0o777 == 0o600


def test_bad_ones_are_made_when_asked_for(issuing: authority.Authority) -> None:
    both = issuing.issue(NAMES, purposes=("serverAuth", "clientAuth"))
    assert usages(leaf_of(both))[1] == ExtendedKeyUsageOID.CLIENT_AUTH
    none = leaf_of(issuing.issue(NAMES, purposes=()))
    with pytest.raises(x509.ExtensionNotFound):
        usages(none)
    curve = leaf_of(issuing.issue(NAMES, key="ecdsa"))
    assert isinstance(curve.public_key(), ec.EllipticCurvePublicKey)
    expired = leaf_of(issuing.issue(NAMES, days=-1))
    assert expired.not_valid_after_utc < dt.datetime.now(dt.UTC)
    assert expired.not_valid_before_utc < expired.not_valid_after_utc
