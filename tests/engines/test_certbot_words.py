"""What certbot is asked, and what is taken of what it leaves; no CA takes part."""

from __future__ import annotations

import itertools
from pathlib import Path

import certs

from orchestrator.engines import certbot
from orchestrator.site import model

NAME = "sbc.example.com"


def asked(**more: object) -> list[str]:
    """certbot's command line."""
    acme = model.Acme(email="ops@example.com", **more)
    return certbot._argv(Path("acme"), NAME, acme, acme.first, certbot._Secrets())


def test_the_cas_default_chain_is_taken_as_it_comes(tmp_path: Path):
    """CERT-8: no other chain is asked for, and all of fullchain.pem is taken, byte for byte."""
    ca = certs.Ca()
    live = tmp_path / "config" / "live" / NAME
    live.mkdir(parents=True)
    chain = ca.leaf(NAME) + ca.pem + certs.Ca("cross-signed").pem
    (live / "fullchain.pem").write_bytes(chain)
    (live / "chain.pem").write_bytes(ca.pem)
    (live / "privkey.pem").write_bytes(certs.pem_key(certs.rsa_key()))

    taken = certbot.read_lineage(tmp_path, NAME)

    assert "--preferred-chain" not in asked()
    assert taken
    assert taken.chain == chain


def test_an_rsa_key_is_asked_for_and_the_ca_is_lets_encrypt_unless_told():
    """TLS-3: certbot's own default is ECDSA. CERT-6: a CA in Microsoft's root program."""
    pairs = dict(itertools.pairwise(asked()))
    assert pairs["--key-type"] == "rsa"
    assert pairs["--rsa-key-size"] == "2048"
    assert pairs["--server"] == "https://acme-v02.api.letsencrypt.org/directory"
