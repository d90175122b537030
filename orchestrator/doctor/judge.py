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

from orchestrator.doctor import calendar, finding, judge_certificate, judge_peers, seen
from orchestrator.host import names
from orchestrator.site import microsoft, model

_WILDCARD = "*."
_PATIENCE = dt.timedelta(seconds=60)
"""How far a clock may be off: the answer itself may have taken some seconds."""

_LETS_ENCRYPT = "letsencrypt.org"
_FQDN = ("teams", "fqdn")
_ADDRESS = ("node", "public_address")
_ACME = ("certificate", "acme")


def judge(site: model.Site, found: seen.Seen, now: dt.datetime) -> tuple[finding.Finding, ...]:
    """Say everything that can be said, in a fixed order."""
    return (
        *_names(site),
        *_dns(site, found),
        *_microsoft(site, found),
        *_caa(site, found),
        *judge_certificate.judge(site, found, now),
        *judge_peers.judge(site, found, now),
        *_port(site, found),
        *_directory(site, found),
        *_clock(found),
        *_dates(site, now),
    )


def not_checked(site: model.Site, *, offline: bool, applied: bool) -> tuple[str, ...]:
    """What nobody can know from here, or was not asked, each as a few words."""
    found = []
    if offline:
        found.append("DNS")
        if site.certificate.acme:
            found.append("CAA and the ACME CA")
    if not applied:
        found.append("what the listener shows (nothing is applied here yet)")
    if site.certificate.acme:
        found.append("whether the CA reaches port 80 from outside")
    return (*found, "whether Microsoft reaches the SBC from outside")


def certificate_names(site: model.Site) -> tuple[str, ...]:
    """Every name the certificate must cover."""
    return (site.teams.fqdn,)


def hosts(site: model.Site) -> tuple[str, ...]:
    """The names among them that lead to an address."""
    return tuple(name for name in certificate_names(site) if not name.startswith(_WILDCARD))


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


def _caa(site: model.Site, found: seen.Seen) -> Iterator[finding.Finding]:
    acme = site.certificate.acme
    if acme is None:
        return
    identities = _identities(acme, found)
    for name, told in (found.authorizations or {}).items():
        if told.failure:
            yield finding.Finding(
                "caa",
                finding.Level.PROBLEM,
                f"DNS does not tell which CAs may certify {name} ({told.owner}: {told.failure});"
                " a CA refuses then",
                "see whether the zone answers questions for CAA; broken DNSSEC is a usual cause",
                _FQDN,
            )
        elif not told.records:
            yield finding.Finding(
                "caa", finding.Level.OK, f"no CAA record limits who may certify {name}", path=_FQDN
            )
        elif not identities:
            yield finding.Finding(
                "caa",
                finding.Level.HINT,
                f"CAA at {told.owner} limits who may certify {name}, and {acme.directory} does"
                " not say what it is called there",
                "compare with the CA's own documents",
                (*_ACME, "directory"),
            )
        else:
            yield _judge_caa(name, told, identities)


def _judge_caa(
    name: str, told: names.Authorizations, identities: tuple[str, ...]
) -> finding.Finding:
    """Whether CAA records let one of *identities* certify *name* by our challenge (RFC 8657)."""
    strange = [each.tag for each in told.records if each.critical and not _is_known(each.tag)]
    issue = [each.value for each in told.records if each.tag == "issue"]
    wild = [each.value for each in told.records if each.tag == "issuewild"]
    counted = (wild or issue) if name.startswith(_WILDCARD) else issue
    challenge = "http-01"
    allowed = [value for value in counted if value.partition(";")[0].strip() in identities]
    fitting = [value for value in allowed if challenge in _methods(value, challenge)]
    wanted = f'{told.owner} CAA 0 issue "{identities[0]}"'
    if strange:
        said = f"CAA at {told.owner} has the critical tag {strange[0]}, so CAs refuse {name}"
        return finding.Finding("caa", finding.Level.PROBLEM, said, "take the record out", _FQDN)
    if not counted or fitting:
        said = f"CAA at {told.owner} lets {identities[0]} certify {name}"
        return finding.Finding("caa", finding.Level.OK, said, path=_FQDN)
    if allowed:
        said = f"CAA at {told.owner} lets {identities[0]} certify {name}, but not by {challenge}"
        do = f"add {challenge} to validationmethods in the record"
        return finding.Finding("caa", finding.Level.PROBLEM, said, do, _FQDN)
    said = f"CAA at {told.owner} does not let {identities[0]} certify {name}"
    do = f"add the record {wanted}"
    return finding.Finding("caa", finding.Level.PROBLEM, said, do, (*_ACME, "directory"))


def _is_known(tag: str) -> bool:
    return tag in ("issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone")


def _methods(value: str, default: str) -> tuple[str, ...]:
    """The ways of proof a CAA value allows; all of them when it names none."""
    for parameter in value.split(";")[1:]:
        key, _, listed = parameter.partition("=")
        if key.strip().lower() == "validationmethods":
            return tuple(method.strip() for method in listed.split(","))
    return (default,)


def _identities(acme: model.Acme, found: seen.Seen) -> tuple[str, ...]:
    """What the CA is called in CAA records: as it says itself, or as is known."""
    meta = found.directory.content.get("meta") if found.directory else None
    told = meta.get("caaIdentities") if isinstance(meta, dict) else None
    if isinstance(told, list) and told:
        return tuple(str(each) for each in told)
    return (_LETS_ENCRYPT,) if _LETS_ENCRYPT in acme.directory else ()


def _port(site: model.Site, found: seen.Seen) -> Iterator[finding.Finding]:
    acme = site.certificate.acme
    if acme is None or found.listeners is None:
        return
    port = acme.http_port
    path = (*_ACME, "http_port")
    if found.listeners:
        who = ", ".join(
            f"{each.name} (process {each.pid})" if each.name else "a program of another user"
            for each in found.listeners
        )
        yield finding.Finding(
            "port-80",
            finding.Level.WARNING,
            f"{who} listens on port {port}, which the proof for the CA needs",
            "end it, or set certificate.acme.http_port and let it forward"
            " /.well-known/acme-challenge/ there",
            path,
        )
    elif port != 80:
        yield finding.Finding(
            "port-80",
            finding.Level.HINT,
            f"the proof for the CA is given on port {port}, and the CA always dials port 80",
            f"see that port 80 of {site.teams.fqdn} is forwarded to port {port} of this machine",
            path,
        )
    else:
        said = "nobody listens on port 80; the proof for the CA can be given there"
        yield finding.Finding("port-80", finding.Level.OK, said, path=path)


def _directory(site: model.Site, found: seen.Seen) -> Iterator[finding.Finding]:
    acme = site.certificate.acme
    if acme is None or found.directory is None:
        return
    path = (*_ACME, "directory")
    if found.directory.failure:
        yield finding.Finding(
            "acme",
            finding.Level.PROBLEM,
            f"no ACME directory at {acme.directory}: {found.directory.failure}",
            "without it nothing is renewed: see DNS, the way out, and certificate.acme.directory",
            path,
        )
    elif "newOrder" not in found.directory.content:
        yield finding.Finding(
            "acme",
            finding.Level.PROBLEM,
            f"{acme.directory} answers, but is no ACME directory",
            "see certificate.acme.directory",
            path,
        )
    else:
        yield finding.Finding("acme", finding.Level.OK, f"{acme.directory} answers", path=path)


def _clock(found: seen.Seen) -> Iterator[finding.Finding]:
    told = found.directory.date if found.directory else None
    if told is not None and found.asked is not None:
        off = found.asked - told
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
        near = ", and the CA's agrees" if told is not None else ""
        said = f"a time service keeps this machine's clock{near}"
        yield finding.Finding("clock", finding.Level.OK, said)


def _span(off: dt.timedelta) -> str:
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if off.total_seconds() >= 2 * seconds:
            return f"{off.total_seconds() / seconds:.0f} {unit}"
    return f"{off.total_seconds():.0f} seconds"


def _dates(site: model.Site, now: dt.datetime) -> Iterator[finding.Finding]:
    acme = site.certificate.acme
    lets_encrypt = acme is not None and _LETS_ENCRYPT in acme.directory
    change = calendar.next_change(now, acme=acme is not None, lets_encrypt=lets_encrypt)
    if calendar.is_old(now):
        yield finding.Finding(
            "dates",
            finding.Level.HINT,
            f"what this sbcctl knows about CAs and Microsoft is of {calendar.AS_OF}",
            "install a newer sbcctl",
        )
    elif change is None:
        said = f"no change is announced (as of {calendar.AS_OF})"
        yield finding.Finding("dates", finding.Level.OK, said)
    else:
        said = (
            f"on {change.day} {change.who} {change.what} (as of {calendar.AS_OF}, {change.source})"
        )
        do = _meaning(change, acme=acme is not None)
        soon = calendar.is_soon(change, now)
        level = finding.Level.HINT if soon else finding.Level.OK
        yield finding.Finding("dates", level, said, do, ("certificate",))


def _meaning(change: calendar.Change, *, acme: bool) -> str:
    if acme:
        return f"nothing to change; renewal must come within {change.days * 2 // 3} days then"
    return (
        f"a certificate bought after that day lives {change.days} days at most:"
        " plan for it, or let certificate.acme obtain one"
    )
