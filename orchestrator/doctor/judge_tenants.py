"""Findings about tenants with a trunk of their own: where names lead, what is shown; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from orchestrator import proof
from orchestrator.doctor import finding, seen
from orchestrator.engines import certificate
from orchestrator.site import model


def judge(site: model.Site, found: seen.Seen, now: dt.datetime) -> Iterator[finding.Finding]:
    """Say what is right and wrong about each, in the order of their names."""
    for each in found.tenants:
        trunk = site.full_trunks[each.name]
        yield from _dns(trunk, each)
        if each.offered is not None:
            yield from _files(each.name, each.offered)
        if each.wire is not None:
            yield from _shown(trunk, each, each.wire, now)


def _dns(trunk: model.FullTrunk, each: seen.Tenant) -> Iterator[finding.Finding]:
    if each.answer is None:
        return
    path = ("tenants", each.name, "address")
    led = ", ".join(each.answer.addresses)
    if each.answer.addresses == (trunk.public,):
        said = f"{trunk.fqdn} leads to {trunk.public}"
        yield finding.Finding("dns", finding.Level.OK, said, path=path)
        return
    said = (
        f"{trunk.fqdn} leads to {led}, and tenant {each.name} is at {trunk.public}"
        if led
        else f"{trunk.fqdn} leads nowhere: {each.answer.failure or 'it has no A record'}"
    )
    do = f"the tenant's zone needs the record {trunk.fqdn} A {trunk.public}"
    yield finding.Finding("dns", finding.Level.PROBLEM, said, do, path)


def _files(name: str, offered: seen.Offered) -> Iterator[finding.Finding]:
    path = ("tenants", name, "certificate", "files", "chain")
    if offered.failure:
        said, do = f"{offered.failure}", "put the file there, then sbcctl apply"
        yield finding.Finding("files", finding.Level.PROBLEM, said, do, path)
    for fault in offered.faults:
        said, do = f"{offered.path}: {fault}", "put a pair there that fits, then sbcctl apply"
        yield finding.Finding("files", finding.Level.PROBLEM, said, do, path)


def _shown(
    trunk: model.FullTrunk, each: seen.Tenant, wire: seen.Wire, now: dt.datetime
) -> Iterator[finding.Finding]:
    path = ("tenants", each.name, "certificate")
    if not wire.chain:
        said, do = f"{wire.place} shows no certificate: {wire.failure}", "see sbcctl status"
        yield finding.Finding("served", finding.Level.PROBLEM, said, do, path)
        return
    faults = proof.find_chain_faults(wire.chain, names=(trunk.fqdn,), now=now)
    do = "sbcctl cert renew" if trunk.acme else "put a pair there that fits, then sbcctl apply"
    for fault in faults:
        said = f"{wire.place}: {fault}"
        yield finding.Finding("served", finding.Level.PROBLEM, said, do, path)
    if faults:
        return
    pair = certificate.read_pair(wire.chain)
    days = (pair.not_after - now).days
    until = f"until {pair.not_after:%Y-%m-%d} ({days} days)"
    said = f"{wire.place} shows {', '.join(pair.names)}, {until}"
    if (pair.not_after - now) * 3 < pair.not_after - pair.not_before:
        by_hand = "put a new pair into its files, then sbcctl apply"
        do = "see why sbcctl cert renew has not renewed it" if trunk.acme else by_hand
        yield finding.Finding("served", finding.Level.WARNING, said, do, path)
    else:
        yield finding.Finding("served", finding.Level.OK, said, path=path)
