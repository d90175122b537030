"""A certificate from a real ACME CA, and every way not to get one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import ground
import lanes
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

pytestmark = [pytest.mark.engine]

FILES = "certificate:\n  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}"
ACME = "certificate: {acme: {email: ops@example.com, directory: https://acme.example.net/dir}}"


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine whose site asks for a certificate by ACME; there is no CA yet."""
    with ground.Ground(tmp_path_factory.mktemp("c"), lanes.root(lane)) as made:
        made.write_site((FILES.format(folder=made.folder), ACME))
        yield made


def nothing_was_changed(machine: ground.Ground) -> None:
    assert not (machine.state / "current").is_symlink()
    assert not (machine.state / "certificates/current").is_symlink()
    assert machine.processes("kamailio") == ()
    assert machine.processes("rtpengine") == ()


def test_a_certificate_is_obtained_proven_and_served(machine):
    """RSA from the CA, on the wire after the first apply, and not asked for again."""
    machine.start_acme()
    ran = machine.apply("--output", "json")
    assert json.loads(ran.stdout)["steps"][0]["kind"] == "install-certificate"
    assert "ACME http-01" in ran.stderr
    key = (machine.state / "certificates/current/key.pem").read_text()
    assert "PRIVATE KEY" in key
    chain = (machine.state / "certificates/current/chain.pem").read_bytes()
    leaf = x509.load_pem_x509_certificates(chain)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["sbc.example.com"]
    public = leaf.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 2048
    assert "CN=Pebble" in served_issuer(machine)
    again = machine.apply("--output", "json")
    assert json.loads(again.stdout)["steps"] == []


def test_another_ca_means_another_certificate(machine):
    """Let's Encrypt's staging and production: what one gave does not pass for the other's."""
    machine.start_acme()
    machine.apply()
    first = served_issuer(machine)
    machine.start_acme("acme2.example.net")
    machine.write_site(
        (FILES.format(folder=machine.folder), ACME.replace("acme.example", "acme2.example"))
    )
    ran = machine.apply("--output", "json")
    steps = json.loads(ran.stdout)["steps"]
    assert "install-certificate" in [step["kind"] for step in steps]
    assert served_issuer(machine) != first
    accounts = machine.state / "acme/config/accounts"
    assert sorted(path.name for path in accounts.iterdir()) == [
        "acme.example.net",
        "acme2.example.net",
    ]
    again = machine.apply("--output", "json")
    assert json.loads(again.stdout)["steps"] == []
    machine.write_site((FILES.format(folder=machine.folder), ACME))
    machine.apply()
    assert served_issuer(machine) == first


def served_issuer(machine: ground.Ground) -> str:
    """Who signed the certificate in use."""
    chain = (machine.state / "certificates/current/chain.pem").read_bytes()
    return x509.load_pem_x509_certificates(chain)[0].issuer.rfc4514_string()


def test_a_ca_that_cannot_be_reached(machine):
    """The directory is named, and where to look; nothing is changed."""
    ran = machine.apply(code=1)
    assert "no certificate for sbc.example.com from https://acme.example.net/dir" in ran.stderr
    assert "Connection refused" in ran.stderr
    assert "cannot be reached from here" in ran.stderr
    nothing_was_changed(machine)


def test_a_ca_whose_name_does_not_resolve(machine):
    """The same hint: DNS is one of the things to look at."""
    machine.set_names({k: v for k, v in ground.NAMES.items() if k != "acme.example.net"})
    ran = machine.apply(code=1)
    assert "cannot be reached from here" in ran.stderr
    nothing_was_changed(machine)


def test_a_ca_that_this_machine_does_not_trust(machine):
    """Whose certificate is not trusted is told apart from who cannot be reached."""
    machine.start_acme()
    machine.run("umount", "/etc/ssl/certs/ca-certificates.crt")
    ran = machine.apply(code=1)
    assert "does not trust the CA's own certificate" in ran.stderr
    nothing_was_changed(machine)


def test_a_challenge_that_ends_at_another_machine(machine):
    """The CA's own words, and that it must reach port 80 by this name."""
    machine.start_acme()
    machine.set_names({**ground.NAMES, "sbc.example.com": "198.51.100.99"})
    ran = machine.apply(code=1)
    assert "must reach this machine on port 80 by the name sbc.example.com" in ran.stderr
    assert "198.51.100.99" in ran.stderr
    nothing_was_changed(machine)


def test_port_80_is_taken(machine):
    """certbot cannot answer the challenge; the port is named."""
    machine.start_acme()
    code = "import socket,signal;s=socket.socket();s.bind(('0.0.0.0',80));s.listen();"
    holder = machine.start("python3", "-c", f"{code}print('up',flush=True);signal.pause()")
    assert holder.stdout
    assert holder.stdout.readline() == b"up\n"
    ran = machine.apply(code=1)
    assert "port 80 is taken on this machine" in ran.stderr
    nothing_was_changed(machine)
