"""Names proven by records in DNS: a real CA asks a real BIND that takes signed updates."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import acme_ground
import ground
import lanes
import pytest
from cryptography import x509

from orchestrator.lab import addresses

pytestmark = [pytest.mark.engine]

FILES = "certificate:\n  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}"
ACME = (
    "certificate: {acme: {email: ops@example.com, directory: https://acme.example.net/dir, MORE}}"
)
NAMES = "names: ['*.customers.example.com']"


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine with a CA that asks BIND."""
    with ground.Ground(tmp_path_factory.mktemp("d"), lanes.root(lane)) as made:
        acme_ground.start_bind(made)
        made.start_acme(dns=acme_ground.BIND)
        yield made


def apply(machine: ground.Ground, more: str, *, code: int = 0, secret: str = ""):
    """Apply a site with these words in certificate.acme."""
    machine.write_site((FILES.format(folder=machine.folder), ACME.replace("MORE", more)))
    env = {addresses.TSIG_SECRET_VARIABLE: secret or addresses.TSIG_SECRET}
    return machine.run(
        *machine.words("apply", str(machine.folder / "site.yaml")), code=code, env=env
    )


def names_in(chain: bytes) -> list[str]:
    leaf = x509.load_pem_x509_certificates(chain)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(names.get_values_for_type(x509.DNSName))


def test_a_wildcard_for_hosted_customers_is_obtained_and_served(machine):
    """CERT-5: one certificate for the SBC and for every customer below it, by a handshake."""
    ran = apply(machine, f"{NAMES}, {acme_ground.UPDATES}")
    assert "ACME dns-01" in ran.stderr
    names = ["*.customers.example.com", "sbc.example.com"]
    assert names_in((machine.state / "certificates/current/chain.pem").read_bytes()) == names
    for name in ("sbc.example.com", "a.customers.example.com"):
        words = ("openssl", "s_client", "-connect", "203.0.113.10:5061", "-servername", name)
        more = ("-showcerts", "-verify_hostname", name, "-verify_return_error")
        roots = str(machine.folder / "acme-root.pem")
        write_root(machine, roots)
        shook = machine.run(*words, *more, "-CAfile", roots, code=None)
        assert "Verify return code: 0 (ok)" in shook.stdout, shook.stdout + shook.stderr
    assert acme_ground.txt_records(machine) == []
    nothing_secret_is_left(machine)


def write_root(machine: ground.Ground, path: str) -> None:
    """The root above pebble's certificates."""
    code = (
        "import ssl, sys, urllib.request\n"
        "context = ssl.create_default_context(cafile=sys.argv[1])\n"
        "url = 'https://acme.example.net:15000/roots/0'\n"
        "open(sys.argv[2], 'wb').write(urllib.request.urlopen(url, context=context).read())\n"
    )
    machine.run("python3", "-c", code, f"{machine.folder}/ca.pem", path)


def nothing_secret_is_left(machine: ground.Ground) -> None:
    """No file of certbot's holds the secret once it has ended."""
    for path in (machine.state / "acme").rglob("*"):
        if path.is_file():
            assert addresses.TSIG_SECRET.encode() not in path.read_bytes(), path
            assert not stat.S_IMODE(path.stat().st_mode) & 0o002
