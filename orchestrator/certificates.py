"""The certificates of this machine: disk against wire, who made them, and what happens next.

Nothing is changed and no CA is asked; when a CA wants a certificate renewed is what it said last.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from orchestrator import errors, observe, proof, renewal
from orchestrator.apply import obtain, renew
from orchestrator.engines import certificate
from orchestrator.render import wanted

_USAGES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
}


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate of a chain."""

    subject: str
    issuer: str
    begin: dt.datetime
    end: dt.datetime
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Held:
    """One pair that lies on disk.

    Attributes:
        name: What it is called in the state directory.
        in_use: Whether it is the one to serve.
        serial: Its serial, hex.
        names: What it is for.
        key: Kind and size.
        usages: What it may be used for.
        begin: Start of its validity.
        end: End of it.
        root: The root of this machine that vouches for it; empty when none does.
        chain: It and those above it.
        faults: Why it cannot serve.
        remarks: What is worth knowing.
    """

    name: str
    in_use: bool
    serial: str
    names: tuple[str, ...]
    key: str
    usages: tuple[str, ...]
    begin: dt.datetime
    end: dt.datetime
    root: str
    chain: tuple[Link, ...]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found.

    Attributes:
        fqdn: The SBC's name towards Teams.
        source: Where certificates come from: directories of CAs, or two files.
        held: Every pair on disk, the one in use first, then the newest.
        served: Serial of the one on the wire, hex; empty when none could be seen.
        silence: Why not.
        decision: What is to do; None where files are the source.
        next_step: The same in words.
        broken: Names of pairs that cannot be read.
        own: Of each tenant with a trunk of its own the pair in use, the first to end first.
        decisions: What is to do about those of them that come by ACME, by their names.
        wire: Serial of what its listener shows, hex, by its name; empty when none could be seen.
    """

    fqdn: str
    source: tuple[str, ...]
    held: tuple[Held, ...]
    served: str
    silence: str
    decision: renewal.Decision | None
    next_step: str
    broken: tuple[str, ...] = ()
    own: tuple[Held, ...] = ()
    decisions: Mapping[str, renewal.Decision] = field(default_factory=dict)
    wire: Mapping[str, str] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether what is to serve can, is on the wire, and waits for nothing."""
        used = self.held[0] if self.held and self.held[0].in_use else None
        if used is None or used.faults or used.serial != self.served:
            return False
        wire, fit = self.wire, {each.name: each.serial for each in self.own if not each.faults}
        if wire != fit:
            return False
        decisions = (self.decision, *self.decisions.values())
        return all(each is None or each.do is renewal.Do.NOTHING for each in decisions)

    def next_of(self, own: Held, now: dt.datetime) -> str:
        """What happens next about a tenant's."""
        return _next(self.decisions.get(own.name), own, now)


def look(machine: observe.Machine, now: dt.datetime) -> Seen:
    """Look at disk and wire.

    Raises:
        HostError: Nothing is applied here.
    """
    found = renew.applied(machine)
    site = found.site
    held, broken = [], []
    for name in machine.store.certificates():
        pair = machine.store.read_certificate(name)
        try:
            held.append(_held(machine, name, pair, site.certificate_names, now))
        except ValueError:
            broken.append(name)
    held.sort(key=lambda each: (each.in_use, each.begin), reverse=True)
    listener = wanted.teams_listener(found.stored.generation)
    served, silence = _wire(*listener)
    listeners = {each[2]: each for each in wanted.own_listeners(found.stored.generation)}
    own, spoiled = _own(machine, tuple(listeners), now)
    used = held[0] if held and held[0].in_use else None
    there = {"": used, **{each.name: each for each in own}}
    decisions = {
        order.own: _decide(machine, order, there.get(order.own), now)
        for order in obtain.orders(site)
    }
    decision = decisions.pop("", None)
    if site.certificate.acme is not None:
        source = tuple(ca.directory for ca in site.certificate.acme.authorities)
    else:
        assert site.certificate.files is not None
        source = (site.certificate.files.chain, site.certificate.files.key)
    return Seen(
        fqdn=site.teams.fqdn,
        source=source,
        held=tuple(held),
        served=served,
        silence=silence,
        decision=decision,
        next_step=_next(decision, used, now),
        broken=(*broken, *spoiled),
        own=own,
        decisions=decisions,
        wire={name: _wire(*listeners[name])[0] for name in listeners},
    )


def _decide(
    machine: observe.Machine, order: obtain.Order, held: Held | None, now: dt.datetime
) -> renewal.Decision:
    life = renewal.Life(held.begin, held.end, held.serial) if held else None
    unfit = "; ".join(held.faults) if held else ""
    return obtain.decide(machine, order, life, now, unfit=unfit)


def _own(
    machine: observe.Machine, names: tuple[str, ...], now: dt.datetime
) -> tuple[tuple[Held, ...], tuple[str, ...]]:
    """What serves for tenants with a trunk of their own, called as there; and what is spoiled."""
    used = machine.store.certificate()
    there = machine.store.own_certificates(used) if used else {}
    held, broken = [], []
    for name in names:
        try:
            found = _held(machine, name, there.get(name), (name,), now)
            held.append(dataclasses.replace(found, in_use=True))
        except ValueError:
            broken.append(name)
    return tuple(sorted(held, key=lambda each: each.end)), tuple(broken)


def _held(
    machine: observe.Machine,
    name: str,
    pair: tuple[bytes, bytes] | None,
    names: tuple[str, ...],
    now: dt.datetime,
) -> Held:
    if pair is None:
        raise ValueError(f"a file of {name} is missing")
    chain, key = pair
    certificates = x509.load_pem_x509_certificates(chain)
    leaf, known = certificates[0], observe.known_roots()
    root = proof.root_of(certificates[-1], known)
    return Held(
        name=name,
        in_use=name == machine.store.certificate(),
        serial=f"{leaf.serial_number:x}",
        names=proof.names_in(leaf),
        key=_kind(leaf),
        usages=_usages(leaf),
        begin=leaf.not_valid_before_utc,
        end=leaf.not_valid_after_utc,
        root=_called(root.subject) if root else "",
        chain=tuple(_link(each) for each in certificates),
        faults=proof.find_faults(chain, key, names=names, now=now, roots=known),
        remarks=proof.find_remarks(chain, roots=known),
    )


def _link(each: x509.Certificate) -> Link:
    return Link(
        subject=_called(each.subject),
        issuer=_called(each.issuer),
        begin=each.not_valid_before_utc,
        end=each.not_valid_after_utc,
        key=_kind(each),
        fingerprint=each.fingerprint(hashes.SHA256()).hex(),
    )


def _wire(address: str, port: int, name: str) -> tuple[str, str]:
    try:
        return f"{certificate.served(address, port, name=name).serial:x}", ""
    except errors.EngineError as silent:
        return "", silent.message


def _next(decision: renewal.Decision | None, used: Held | None, now: dt.datetime) -> str:
    """What happens next and when, in words."""
    if decision is None:
        if used is None:
            return "put a pair into the files and run sbcctl cert deploy"
        due, why = renewal.due(renewal.Life(used.begin, used.end, used.serial), None)
        said = "now" if due <= now else f"by {due:%Y-%m-%d}"
        return f"put a new pair into the files {said} ({why})"
    at = f"{decision.at:%Y-%m-%d %H:%M}Z"
    if decision.do is renewal.Do.RENEW:
        return f"sbcctl cert renew asks {decision.ca} ({decision.why})"
    if decision.do is renewal.Do.WAIT:
        return f"no CA is asked before {at} ({decision.why})"
    return f"is renewed from {at} on ({decision.why})"


def _kind(each: x509.Certificate) -> str:
    key = each.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    size = getattr(key, "key_size", "")
    kind = "EC" if hasattr(key, "curve") else type(key).__name__.removesuffix("PublicKey")
    return f"{kind} {size}".strip()


def _usages(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ("any",)
    return tuple(_USAGES.get(each, each.dotted_string) for each in usages)


def _called(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()
