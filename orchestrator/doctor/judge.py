"""From what was seen to findings: names, DNS, CAs, port 80, the clock, dates; pure.

Rules:

1. PROBLEM is what ends calls with Teams, or lets no certificate be issued; WARNING what may do so;
   HINT what is worth knowing.
2. A question that was asked and not answered is a finding; one that was not asked is none, and
   ``not_checked`` says so.
3. Each finding names the key of site.yaml that decides, if one does.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator

from orchestrator.doctor import (
    calendar,
    finding,
    judge_acme,
    judge_certificate,
    judge_peers,
    judge_tenants,
    seen,
)
from orchestrator.site import acme, microsoft, model

_PATIENCE = dt.timedelta(seconds=60)
"""How far a clock may be off: the answer itself may have taken some seconds."""

_FQDN = ("teams", "fqdn")
_ADDRESS = ("node", "public_address")


def judge(site: model.Site, found: seen.Seen, now: dt.datetime) -> tuple[finding.Finding, ...]:
    """Say everything that can be said, in a fixed order."""
    return (
        *_names(site),
        *_dns(site, found),
        *_microsoft(site, found),
        *judge_certificate.judge(site, found, now),
        *judge_tenants.judge(site, found, now),
        *judge_peers.judge(site, found, now),
        *judge_acme.judge(site, found),
        *_clock(found),
        *_dates(site, now),
    )


def not_checked(site: model.Site, *, offline: bool, applied: bool) -> tuple[str, ...]:
    """What nobody can know from here, or was not asked, each as a few words."""
    found, by_acme = [], site.by_acme
    if offline:
        found.append("DNS")
        if by_acme:
            found.append("CAA and the ACME CA")
    if not applied:
        found.append("what the listener shows (nothing is applied here yet)")
    if judge_acme.by_port(site):
        found.append("whether the CA reaches port 80 from outside")
    return (*found, "whether Microsoft reaches the SBC from outside")


def hosts(site: model.Site) -> tuple[str, ...]:
    """The names of the certificate that lead to an address: not its wildcards."""
    return tuple(name for name in site.certificate_names if not name.startswith(acme.WILDCARD))


def _names(site: model.Site) -> Iterator[finding.Finding]:
    """The rules for names; validate has refused what breaks them (CERT-4)."""
    for name in hosts(site):
        yield finding.Finding(
            "name",
            finding.Level.OK,
            f"{name} has {len(name)} of 63 characters and is not under onmicrosoft.com",
            path=_FQDN,
        )


def _dns(site: model.Site, found: seen.Seen) -> Iterator[finding.Finding]:
    public = str(site.node.public_address)
    for name, answer in (found.addresses or {}).items():
        others = tuple(address for address in answer.addresses if address != public)
        joined = ", ".join(answer.addresses)
        if answer.failure:
            level, said = (
                finding.Level.PROBLEM,
                f"DNS does not tell about {name}: {answer.failure}",
            )
            do = "see whether the zone is served, and ask another server with --resolver"
        elif not answer.addresses:
            level, said = (
                finding.Level.PROBLEM,
                f"{name} has no A record: Microsoft cannot dial it",
            )
            do = f"add the record {name} A {public}"
        elif public not in answer.addresses:
            level = finding.Level.PROBLEM
            said = f"{name} leads to {joined}, and this SBC is {public}"
            do = "change the A record; or node.public_address, if the SBC has moved"
        elif others:
            level = finding.Level.WARNING
            said = f"{name} leads to {', '.join(others)} as well: Microsoft dials either"
            do = f"leave {public} alone in the A record"
        else:
            level, said, do = finding.Level.OK, f"{name} leads to {public}", ""
        yield finding.Finding("dns", level, said, do, _ADDRESS if answer.addresses else _FQDN)


def _microsoft(site: model.Site, found: seen.Seen) -> Iterator[finding.Finding]:
    """Whether Microsoft's names lead somewhere, and to where it may call from (EP-1, EP-4)."""
    if found.microsoft is None:
        return
    networks = [ipaddress.ip_network(network) for network in microsoft.networks(site)]
    wrong = False
    for name, answer in found.microsoft.items():
        strange = [
            address
            for address in answer.addresses
            if not any(ipaddress.ip_address(address) in network for network in networks)
        ]
        if not answer.addresses:
            wrong = True
            yield finding.Finding(
                "microsoft",
                finding.Level.PROBLEM,
                f"{name} leads nowhere: {answer.failure or 'it has no A record'}; no call reaches"
                " Teams by it, and Kamailio does not start while it is so",
                "see the DNS servers of this machine",
                ("teams", "cloud"),
            )
        elif strange:
            wrong = True
            joined = ", ".join(strange)
            yield finding.Finding(
                "microsoft",
                finding.Level.WARNING,
                f"{name} leads to {joined}, outside the networks Microsoft may call from",
                "see whether somebody answers for Microsoft here, or teams.networks is too narrow",
                ("teams", "networks"),
            )
    if not wrong:
        said = f"{', '.join(found.microsoft)} lead into Microsoft's networks"
        yield finding.Finding("microsoft", finding.Level.OK, said, path=("teams", "cloud"))


def _clock(found: seen.Seen) -> Iterator[finding.Finding]:
    offs = [each.off for each in (found.directories or {}).values() if each.off is not None]
    for off in offs[:1]:
        if abs(off) > _PATIENCE:
            where = "ahead of" if off > dt.timedelta(0) else "behind"
            yield finding.Finding(
                "clock",
                finding.Level.PROBLEM,
                f"this machine's clock is {_span(abs(off))} {where} the CA's",
                "set it right and let a time service keep it (chrony, systemd-timesyncd):"
                " certificates and registrations go by it",
            )
            return
    if found.steered is None or found.steered.kept is None:
        said = "the kernel does not tell whether a time service keeps the clock"
        yield finding.Finding("clock", finding.Level.HINT, said)
    elif not found.steered.kept:
        yield finding.Finding(
            "clock",
            finding.Level.WARNING,
            "no time service keeps this machine's clock",
            "install chrony or switch systemd-timesyncd on; a container takes its host's clock",
        )
    else:
        near = ", and the CA's agrees" if offs else ""
        said = f"a time service keeps this machine's clock{near}"
        yield finding.Finding("clock", finding.Level.OK, said)


def _span(off: dt.timedelta) -> str:
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if off.total_seconds() >= 2 * seconds:
            return f"{off.total_seconds() / seconds:.0f} {unit}"
    return f"{off.total_seconds():.0f} seconds"


def _dates(site: model.Site, now: dt.datetime) -> Iterator[finding.Finding]:
    asked = [site.certificate.acme, *(each.acme for each in site.full_trunks.values())]
    kinds = dict.fromkeys(
        (acme is not None, acme is not None and judge_acme.LETS_ENCRYPT in acme.directory)
        for acme in asked
    )
    coming: dict[calendar.Change, bool] = {}
    for by_acme, lets_encrypt in kinds:
        change = calendar.next_change(now, acme=by_acme, lets_encrypt=lets_encrypt)
        if change is not None:
            coming.setdefault(change, by_acme)
    if calendar.is_old(now):
        yield finding.Finding(
            "dates",
            finding.Level.HINT,
            f"what this sbcctl knows about CAs and Microsoft is of {calendar.AS_OF}",
            "install a newer sbcctl",
        )
    elif not coming:
        said = f"no change is announced (as of {calendar.AS_OF})"
        yield finding.Finding("dates", finding.Level.OK, said)
    else:
        for change, by_acme in coming.items():
            yield _coming(change, now, acme=by_acme)


def _coming(change: calendar.Change, now: dt.datetime, *, acme: bool) -> finding.Finding:
    said = f"on {change.day} {change.who} {change.what} (as of {calendar.AS_OF}, {change.source})"
    level = finding.Level.HINT if calendar.is_soon(change, now) else finding.Level.OK
    return finding.Finding("dates", level, said, _meaning(change, acme=acme), ("certificate",))


def _meaning(change: calendar.Change, *, acme: bool) -> str:
    if acme:
        return f"nothing to change; renewal must come within {change.days * 2 // 3} days then"
    return (
        f"a certificate bought after that day lives {change.days} days at most:"
        " plan for it, or let certificate.acme obtain one"
    )
