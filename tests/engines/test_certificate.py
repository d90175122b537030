"""What a pair of PEM files is worth, told in sentences."""

from __future__ import annotations

import base64
import datetime as dt
import socket
import ssl
import threading
from pathlib import Path

import certs
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from orchestrator import errors, proof
from orchestrator.engines import certificate

CA = certs.Ca()
OTHER = certs.Ca("Other CA")
KEY = certs.pem_key(certs.rsa_key())
NAME = "sbc.example.com"
SMALL = certs.rsa_key(9, 1024)
EC = ec.generate_private_key(ec.SECP256R1())


def faults(chain: bytes, key: bytes = KEY, name: str = NAME) -> tuple[str, ...]:
    return proof.find_faults(chain, key, names=(name,), now=certs.NOW)


@pytest.mark.parametrize("names", [(NAME,), ("*.example.com",), ("other.example.com", NAME)])
def test_a_good_pair_has_no_faults(names):
    """Exact names, a wildcard for one label, one name of several."""
    assert faults(CA.leaf(*names) + CA.pem) == ()


@pytest.mark.parametrize("common", [True, False])
@pytest.mark.parametrize("alternative", [True, False])
def test_the_name_may_stand_in_the_san_or_in_cn(common, alternative):
    """CERT-2: Profiles of Let's Encrypt without CN serve, and so do certificates without SAN."""
    leaf = CA.leaf(NAME, common=common, alternative=alternative)
    said = faults(leaf + CA.pem)
    assert said == () if common or alternative else "not for sbc.example.com" in said[0]


@pytest.mark.parametrize(
    ("chain", "key", "said"),
    [
        (b"", KEY, "no certificate in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", KEY, "no certificate"),
        (CA.leaf(NAME), b"nonsense", "not a private key"),
        (CA.leaf(NAME), certs.pem_key(certs.rsa_key(5)), "key does not belong"),
        (CA.leaf(NAME, key=EC), certs.pem_key(EC), "not RSA of at least 2048 bits"),
        (CA.leaf(NAME, key=SMALL), certs.pem_key(SMALL), "not RSA of at least 2048 bits"),
        (CA.leaf("other.example.com"), KEY, "is for other.example.com, not for sbc.example.com"),
        (CA.leaf("*.sbc.example.com"), KEY, "not for sbc.example.com"),
        (CA.leaf("*.com"), KEY, "not for sbc.example.com"),
        (CA.leaf(NAME, usage=ExtendedKeyUsageOID.CLIENT_AUTH), KEY, "not for TLS servers"),
        (CA.leaf(NAME, end=dt.timedelta(hours=-1)), KEY, "expired on"),
        (CA.leaf(NAME, end=dt.timedelta(minutes=50)), KEY, "expires on"),
        (CA.leaf(NAME, begin=dt.timedelta(hours=1)), KEY, "not valid before"),
        (CA.leaf(NAME) + OTHER.pem, KEY, "chain is out of order: CN=Other CA did not sign"),
        (CA.pem + CA.leaf(NAME), KEY, "chain is out of order"),
    ],
)
def test_each_fault_is_said(chain, key, said):
    """One sentence names it."""
    assert any(said in fault for fault in faults(chain, key)), faults(chain, key)


def test_all_faults_are_said_at_once():
    """An operator mends them in one go."""
    wrong = CA.leaf("a.example.com", key=EC, end=dt.timedelta(hours=-1))
    assert len(faults(wrong)) == 4


def pem(der: bytes, kind: str = "CERTIFICATE") -> bytes:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {kind}-----\n{text}-----END {kind}-----\n".encode()


def der(text: bytes) -> bytes:
    return base64.b64decode(b"".join(text.splitlines()[1:-1]))


P256, NO_CURVE = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f")
TWO_NAMES = pem(der(CA.leaf(NAME)).replace(bytes.fromhex("551d23"), bytes.fromhex("551d11")))
STRANGE = pem(der(CA.leaf(NAME, key=EC)).replace(P256, NO_CURVE))
STRANGE_KEY = pem(der(certs.pem_key(EC)).replace(P256, NO_CURVE), "PRIVATE KEY")


@pytest.mark.parametrize(
    ("chain", "key", "said"),
    [
        (TWO_NAMES, KEY, "the chain holds what cannot be read: Duplicate"),
        (STRANGE, certs.pem_key(EC), "the chain holds what cannot be read"),
        (CA.leaf(NAME), STRANGE_KEY, "the key is not a private key"),
    ],
)
def test_what_cryptography_does_not_know_is_a_fault_and_no_accident(chain, key, said):
    """An extension twice, a curve nobody has: a sentence each."""
    assert [said in fault for fault in faults(chain, key)] == [True]


def test_a_certificate_that_cannot_be_read_is_a_value_error():
    """Whatever it was that cryptography said."""
    with pytest.raises(ValueError, match="Duplicate"):
        certificate.read_pair(TWO_NAMES)


def test_roots_are_certificates_in_pem_form():
    """Comments between them are allowed; nothing at all is not."""
    assert proof.find_roots_fault(b"# ours\n" + CA.pem + OTHER.pem) == ""
    for wrong in (b"", b"nonsense", STRANGE, CA.pem + STRANGE):
        assert "holds no certificates" in proof.find_roots_fault(wrong)


def test_a_self_signed_certificate_is_refused():
    """Teams would not accept it (TLS-4)."""
    own = certs.Ca(NAME)
    assert any("signs itself" in fault for fault in faults(own.pem))


def test_the_served_certificate_is_seen_although_the_server_wants_ours(tmp_path: Path):
    """Mutual TLS: what is presented is seen without showing a certificate."""
    (tmp_path / "c").write_bytes(CA.leaf(NAME) + KEY)
    (tmp_path / "ca").write_bytes(CA.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c")
    context.load_verify_locations(tmp_path / "ca")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with pytest.raises(OSError), listener.accept()[0] as wire:
                context.wrap_socket(wire, server_side=True).recv(1)

        server = threading.Thread(target=serve)
        server.start()
        port = listener.getsockname()[1]
        seen = certificate.served("127.0.0.1", port, name=NAME)
        server.join()
    assert seen == certificate.read_pair((tmp_path / "c").read_bytes())
    with pytest.raises(errors.EngineSilent):
        certificate.served("127.0.0.1", port, name=NAME, timeout=0.5)
