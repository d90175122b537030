"""Findings about Microsoft's side: what its names show, and what dials us shows; pure.

OpenSSL cannot tell a forged certificate of a caller from Microsoft's (docs/decisions/0016). Here
it can be told afterwards: Microsoft's names, dialled by us, show a chain that is proven up to the
trusted roots, and what a caller shows must be signed by one of the CAs in such a chain.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator

from cryptography import x509

from orchestrator import proof
from orchestrator.doctor import finding, judge_certificate, seen
from orchestrator.engines import certificate, kamailio_peers
from orchestrator.site import microsoft, model

_NETWORKS = ("teams", "networks")


def judge(site: model.Site, found: seen.Seen, now: dt.datetime) -> Iterator[finding.Finding]:
    """Say what Microsoft's names and its peers show."""
    trusted: list[x509.Certificate] = []
    for name, wire in (found.theirs or {}).items():
        if not wire.place:
            continue  # ``microsoft`` says that the name leads nowhere
        said, signers = _their_chain(site, name, wire, found.roots.pem, now)
        trusted += signers
        yield said
    for peer in found.peers:
        yield _peer(peer, tuple(trusted), now)


def _their_chain(
    site: model.Site, name: str, wire: seen.Wire, roots: bytes, now: dt.datetime
) -> tuple[finding.Finding, list[x509.Certificate]]:
    """What one of Microsoft's names shows, and the CAs that are proven by it."""
    if not wire.chain:
        return (
            finding.Finding(
                "dialled",
                finding.Level.PROBLEM,
                f"{name} ({wire.place}) shows no certificate: {wire.failure}",
                "let connections out to port 5061 of Microsoft's networks",
                _NETWORKS,
            ),
            [],
        )
    try:
        chain = x509.load_pem_x509_certificates(wire.chain)
        root = proof.root_of(chain[-1], roots)
        fault = _fault(site, chain, root, now)
        shown = judge_certificate.describe(chain[0], judge_certificate.short(root), now)
    except ValueError as strange:
        chain, root, shown, fault = [], None, "", f"it cannot be read ({strange})"
    if fault:
        said = f"{name} ({wire.place}) shows a certificate that is refused: {fault}"
        do = "see whether DNS leads to Microsoft, and teams.trusted_roots"
        return finding.Finding("dialled", finding.Level.PROBLEM, said, do, _NETWORKS), []
    said = f"{name} ({wire.place}) shows {shown}"
    signers = [*chain[1:], *([root] if root else [])]
    return finding.Finding("dialled", finding.Level.OK, said, path=_NETWORKS), signers


def _fault(
    site: model.Site,
    chain: list[x509.Certificate],
    root: x509.Certificate | None,
    now: dt.datetime,
) -> str:
    """Why Kamailio would refuse a chain that Microsoft's side shows; empty when it would not."""
    names = certificate.read_pair(judge_certificate.pem_of(chain[0])).names
    leaf = chain[0]
    if not any(re.search(microsoft.peer_name_regex(site), name) for name in names):
        return f"it is for {', '.join(names)}"
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        return f"it is valid from {leaf.not_valid_before_utc:%F} to {leaf.not_valid_after_utc:%F}"
    if not all(is_signed(lower, upper) for lower, upper in itertools.pairwise(chain)):
        return "its chain is out of order"
    if root is None:
        return f"{chain[-1].issuer.rfc4514_string()} is none of the trusted roots"
    return ""


def is_signed(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    """Whether *upper* signed *lower*, and is a CA at all."""
    try:
        constraints = upper.extensions.get_extension_for_class(x509.BasicConstraints).value
        lower.verify_directly_issued_by(upper)
    except (*proof.NOT_SIGNED, x509.ExtensionNotFound):
        return False
    return constraints.ca


def _peer(
    peer: kamailio_peers.Peer, trusted: tuple[x509.Certificate, ...], now: dt.datetime
) -> finding.Finding:
    """What somebody in Microsoft's networks showed: for support, whichever way it was dialled."""
    way, leaf, shown = peer.way, None, "no certificate"
    if peer.certificate:
        try:
            leaf = x509.load_pem_x509_certificate(peer.certificate)
            shown = f"{judge_certificate.describe(leaf, '', now)}, serial {leaf.serial_number:x}"
        except ValueError as strange:
            shown = f"what cannot be read ({strange})"
    how = {
        kamailio_peers.Way.IN: "dialled us and showed",
        kamailio_peers.Way.OUT: "was dialled and showed",
        kamailio_peers.Way.REFUSED: "was refused: it showed",
    }[way]
    signed = leaf is not None and any(is_signed(leaf, each) for each in trusted)
    verified = peer.verified or signed
    said = (
        f"{peer.address} {how} {shown}; {peer.version}, {peer.cipher}, the chain"
        f" {'' if verified else 'not '}verified, at {peer.time:%Y-%m-%d %H:%M}Z"
    )
    if way is kamailio_peers.Way.REFUSED:
        do = "somebody there is not Microsoft, or its names have changed: tell its support"
        return finding.Finding("peer", finding.Level.WARNING, said, do, _NETWORKS)
    if way is kamailio_peers.Way.IN and leaf is not None and trusted and not verified:
        do = (
            "no CA that Microsoft's names show has signed it: it is forged, or of another CA of"
            " Microsoft's; ask its support, with this line"
        )
        return finding.Finding("peer", finding.Level.WARNING, said, do, _NETWORKS)
    return finding.Finding("peer", finding.Level.OK, said, path=_NETWORKS)
