"""Findings about certificates: what the listener shows, and who may vouch for Microsoft; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from orchestrator import proof
from orchestrator.doctor import finding, seen
from orchestrator.engines import certificate
from orchestrator.site import microsoft, model

_CERTIFICATE = ("certificate",)


def judge(site: model.Site, found: seen.Seen, now: dt.datetime) -> Iterator[finding.Finding]:
    """Say what is right and wrong about certificates."""
    if found.wire is not None:
        yield from _served(site, found, found.wire, now)
    if found.offered is not None:
        yield from _offered(site, found, found.offered, now)
    yield _roots(site, found.roots)


def _served(
    site: model.Site, found: seen.Seen, wire: seen.Wire, now: dt.datetime
) -> Iterator[finding.Finding]:
    if not wire.chain:
        yield finding.Finding(
            "served",
            finding.Level.PROBLEM,
            f"{wire.place} shows no certificate: {wire.failure}",
            "sbcctl status says whether Kamailio runs; sbcctl apply starts it",
            ("teams", "port"),
        )
        return
    try:
        chain = x509.load_pem_x509_certificates(wire.chain)
        faults = proof.find_chain_faults(wire.chain, names=site.certificate_names, now=now)
        anchor = proof.root_of(chain[-1], found.store.pem)
        root = short(anchor)
    except ValueError as strange:
        said = f"{wire.place} shows what cannot be read: {strange}"
        yield finding.Finding("served", finding.Level.PROBLEM, said, "sbcctl apply", _CERTIFICATE)
        return
    do = "put a certificate there that fits, then sbcctl apply"
    for fault in faults:
        said = f"{wire.place}: {fault}"
        yield finding.Finding("served", finding.Level.PROBLEM, said, do, _CERTIFICATE)
    yield from _completeness(f"{wire.place} shows", chain, root, found.store)
    yield from government(site.teams.cloud, anchor)
    yield from _serial(wire, chain[0], found.serial)
    if faults:
        return
    said = f"{wire.place} shows {describe(chain[0], root, now)}"
    if _is_in_its_last_third(chain[0], now):
        do = "sbcctl cert renew renews it now; where it comes from files, put new ones there first"
        yield finding.Finding("served", finding.Level.WARNING, said, do, _CERTIFICATE)
    else:
        yield finding.Finding("served", finding.Level.OK, said, path=_CERTIFICATE)


def _is_in_its_last_third(leaf: x509.Certificate, now: dt.datetime) -> bool:
    """Whether renewal is late (REN-3)."""
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return (end - now) * 3 < end - begin


def _offered(
    site: model.Site, found: seen.Seen, offered: seen.Offered, now: dt.datetime
) -> Iterator[finding.Finding]:
    """The files that site.yaml names, before apply takes them."""
    path = ("certificate", "files", "chain")
    if offered.failure:
        said, do = f"{offered.path} cannot be used: {offered.failure}", "see certificate.files"
        yield finding.Finding("files", finding.Level.PROBLEM, said, do, path)
        return
    for fault in offered.faults:
        said, do = f"{offered.path}: {fault}", "put a pair there that fits; apply refuses this one"
        yield finding.Finding("files", finding.Level.PROBLEM, said, do, path)
    if offered.faults:
        return
    chain = x509.load_pem_x509_certificates(offered.chain)
    if found.wire is not None and offered.chain and found.serial == chain[0].serial_number:
        return
    anchor = proof.root_of(chain[-1], found.store.pem)
    root = short(anchor)
    yield from _completeness(f"{offered.path} holds", chain, root, found.store)
    yield from government(site.teams.cloud, anchor)
    said = f"{offered.path} holds {describe(chain[0], root, now)}"
    do = f"sbcctl apply makes it the certificate of {site.teams.fqdn}"
    yield finding.Finding("files", finding.Level.OK, said, do, path)


def _completeness(
    shows: str, chain: list[x509.Certificate], root: str, store: seen.File
) -> Iterator[finding.Finding]:
    top = chain[-1]
    if top.issuer == top.subject:
        if len(chain) > 1:
            yield _with_root(shows, _short(top.subject), known=bool(root))
        return
    if root:
        said = f"the chain is complete up to {root}"
        yield finding.Finding("chain", finding.Level.OK, said, path=_CERTIFICATE)
        return
    issuer = top.issuer.rfc4514_string()
    if store.failure or not store.pem:
        said = f"the chain ends at {issuer}, and {store.path} cannot be read: {store.failure}"
        yield finding.Finding("chain", finding.Level.HINT, said, path=_CERTIFICATE)
        return
    sent = "1 certificate" if len(chain) == 1 else f"{len(chain)} certificates"
    yield finding.Finding(
        "chain",
        finding.Level.PROBLEM,
        f"{shows} {sent}, the last one signed by {issuer}, which no root of this"
        " machine is: an intermediate is missing, or the CA is a private one (TLS-4, CERT-6)",
        "put the CA's whole chain into the file, the certificate first; Microsoft takes CAs of its"
        " Trusted Root Program only",
        _CERTIFICATE,
    )


def government(cloud: model.Cloud, root: x509.Certificate | None) -> Iterator[finding.Finding]:
    """Whether the root is one that a government cloud takes; nothing in the commercial one."""
    if cloud is model.Cloud.COMMERCIAL or root is None:
        return
    if thumbprint(root) not in microsoft.GOVERNMENT_ROOTS:
        yield finding.Finding(
            "chain",
            finding.Level.WARNING,
            f"the chain ends at {short(root)}; {cloud} takes"
            f" {' and '.join(microsoft.GOVERNMENT_ROOTS.values())} only, as of 2024 (CERT-6)",
            "ask Microsoft which CAs it takes there today, before you buy",
            ("teams", "cloud"),
        )


def thumbprint(each: x509.Certificate) -> str:
    """The SHA-1 of a certificate as Microsoft's pages write it."""
    return each.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - they name nothing else


def _with_root(shows: str, root: str, *, known: bool) -> finding.Finding:
    """A chain that ends with its root."""
    if known:
        said = f"{shows} the root {root} as well, which nobody needs"
        do = "leave the root out of the chain"
        return finding.Finding("chain", finding.Level.HINT, said, do, _CERTIFICATE)
    return finding.Finding(
        "chain",
        finding.Level.WARNING,
        f"the chain ends at {root}, a root this machine does not know: is it a private CA?",
        "Microsoft takes CAs of its Trusted Root Program only (CERT-6)",
        _CERTIFICATE,
    )


def _serial(
    wire: seen.Wire, leaf: x509.Certificate, serial: int | None
) -> Iterator[finding.Finding]:
    if serial is None:
        return
    if serial == leaf.serial_number:
        said = f"{wire.place} shows the certificate that is installed (serial {serial:x})"
        yield finding.Finding("installed", finding.Level.OK, said, path=_CERTIFICATE)
        return
    yield finding.Finding(
        "installed",
        finding.Level.PROBLEM,
        f"{wire.place} shows another certificate (serial {leaf.serial_number:x}) than the one"
        f" that is installed ({serial:x})",
        "sbcctl apply makes Kamailio read it",
        _CERTIFICATE,
    )


def describe(leaf: x509.Certificate, root: str, now: dt.datetime) -> str:
    """A certificate in one sentence: names, key, usages, issuer, days left (EKU-5)."""
    pair = certificate.read_pair(pem_of(leaf))
    key = leaf.public_key()
    kind = f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else "no RSA key"
    days = (pair.not_after - now).days
    to = f" (root {root})" if root else ""
    return (
        f"a certificate for {', '.join(pair.names)}, {kind}, {_usages(leaf)},"
        f" by {_short(leaf.issuer)}{to}, until {pair.not_after:%Y-%m-%d} ({days} days)"
    )


def _usages(leaf: x509.Certificate) -> str:
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "any usage"
    known = {
        ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
        ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    }
    return " and ".join(known.get(usage, usage.dotted_string) for usage in usages)


def _listed(missing: list[str]) -> str:
    """Which roots are missing, in a few words."""
    if len(missing) == len(microsoft.ROOTS):
        return "all"
    return f"{len(missing)} ({', '.join(missing)})"


def short(authority: x509.Certificate | None) -> str:
    """What a CA is called; empty for none."""
    return _short(authority.subject) if authority else ""


def pem_of(each: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return each.public_bytes(serialization.Encoding.PEM)


def _short(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def _roots(site: model.Site, roots: seen.File) -> finding.Finding:
    path = ("teams", "trusted_roots")
    named = site.teams.trusted_roots is not None
    do = (
        "leave teams.trusted_roots out: sbcctl brings the seven"
        if named
        else "sbcctl apply writes the file anew"
    )
    if roots.failure or (fault := proof.find_roots_fault(roots.pem)):
        said = f"{roots.path} is no file of roots: {roots.failure or fault}"
        return finding.Finding("roots", finding.Level.PROBLEM, said, do, path)
    held = {thumbprint(root) for root in x509.load_pem_x509_certificates(roots.pem)}
    missing = [name for thumbprint, name in microsoft.ROOTS.items() if thumbprint not in held]
    if missing:
        said = (
            f"{roots.path} lacks {_listed(missing)} of the seven roots of Microsoft's notice"
            " MC1213773: connections to Microsoft fail"
        )
        return finding.Finding("roots", finding.Level.PROBLEM, said, do, path)
    more = len(held) - len(microsoft.ROOTS)
    if more:
        said = (
            f"{roots.path} holds the seven roots of MC1213773, and {more} that may vouch as well"
        )
        return finding.Finding("roots", finding.Level.HINT, said, do, path)
    said = "the seven roots of Microsoft's notice MC1213773 are trusted, and only they"
    return finding.Finding("roots", finding.Level.OK, said, path=path)
