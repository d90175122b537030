"""The roots that ship with sbcctl are the seven Microsoft named, and nothing else (TLS-9)."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from orchestrator.render import generation

SEVEN = {
    "A8985D3A65E5E5C4B2D7D66D40C6DD2FB19C5436",
    "DF3C24F9BFD666761B268073FE06D1CC8D4F82A4",
    "7E04DE896A3E666D00E687D33FFAD93BE83D349E",
    "17F3DE5E9F0F19E98EF61F32266E20C407AE30EE",
    "A78849DC5D7C758C8CDE399856B3AAD0B2A57135",
    "999A64C37FF47D9FAB95F14769891460EEC4C3C5",
    "73A5E64A3BFF8316FF0EDCCC618A906E4EAE4D74",
}
"""SHA-1 thumbprints of facts/teams.md 2.3."""


def test_the_shipped_roots_are_the_seven_of_the_notice():
    """A root more would let somebody else vouch for Microsoft; one less ends calls."""
    text = generation.templates_root().joinpath("kamailio", "roots.pem.j2").read_text()

    found = x509.load_pem_x509_certificates(text.encode())

    assert {root.fingerprint(hashes.SHA1()).hex().upper() for root in found} == SEVEN
    assert len(found) == 7
