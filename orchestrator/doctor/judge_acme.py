"""Findings about the CAs that speak ACME: may they, will they, and by which way of proof; pure.

The first CA decides; what is wrong with the one that stands in for it is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.doctor import finding, seen
from orchestrator.host import names, web
from orchestrator.site import acme, model

LETS_ENCRYPT = "letsencrypt.org"
"""What Let's Encrypt is called in CAA records, and a part of the name of its directory."""

_FQDN = ("teams", "fqdn")
_ACME = ("certificate", "acme")
_HTTP = "http-01"
_KNOWN_TAGS = ("issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone")


Place = tuple[str, ...]
"""Where site.yaml asks for a certificate by ACME."""


def names_by_place(site: model.Site) -> dict[Place, tuple[str, ...]]:
    """The names of each certificate that comes by ACME, the site's own first."""
    return {place: site.names_at(place) for place in site.by_acme}


def by_port(site: model.Site) -> tuple[Place, acme.Acme] | None:
    """The first certificate whose names are proven by port 80, if there is one."""
    return next((each for each in site.by_acme.items() if each[1].challenge == _HTTP), None)


def judge(site: model.Site, found: seen.Seen) -> Iterator[finding.Finding]:
    """Say whether certificates can be had; nothing where all are out of files.

    A CA that several are asked of is told about once.
    """
    told: set[str] = set()
    by_acme = site.by_acme
    for place, names_of_it in names_by_place(site).items():
        yield from _judge_one(place, by_acme[place], names_of_it, found, told)
    first = by_port(site)
    if first is not None and found.listeners is not None:
        yield _port(site, *first, found)


def _judge_one(
    place: Place,
    wanted: acme.Acme,
    names_of_it: tuple[str, ...],
    found: seen.Seen,
    told_of: set[str],
) -> Iterator[finding.Finding]:
    asked = found.authorizations or {}
    authorizations = {name: asked[name] for name in names_of_it if name in asked}
    where = _FQDN if place == _ACME else (*place[:2], "fqdn")
    for name, told in authorizations.items():
        if told.failure:
            yield _untold(name, told, where)
    for ca in wanted.authorities:
        answer = (found.directories or {}).get(ca.directory)
        first = ca.directory == wanted.directory
        level = finding.Level.PROBLEM if first else finding.Level.WARNING
        path = (*place, *(() if first else ("fallback",)), "directory")
        for name, told in authorizations.items():
            if not told.failure:
                yield _caa(
                    name,
                    told,
                    ca=ca,
                    identities=_identities(ca, answer),
                    challenge=wanted.challenge,
                    level=level,
                    places=(where, path),
                )
        if answer is not None and ca.directory not in told_of:
            told_of.add(ca.directory)
            yield from _directory(ca, answer, level, path)


def _untold(name: str, told: names.Authorizations, where: finding.Path) -> finding.Finding:
    return finding.Finding(
        "caa",
        finding.Level.PROBLEM,
        f"DNS does not tell which CAs may certify {name} ({told.owner}: {told.failure});"
        " a CA refuses then",
        "see whether the zone answers questions for CAA; broken DNSSEC is a usual cause",
        where,
    )


def _caa(
    name: str,
    told: names.Authorizations,
    *,
    ca: acme.Ca,
    identities: tuple[str, ...],
    challenge: str,
    level: finding.Level,
    places: tuple[finding.Path, finding.Path],
) -> finding.Finding:
    """Whether CAA records let a CA certify *name* by our way of proof (RFC 8659, RFC 8657).

    *places* are those of the name and of the CA.
    """
    where, path = places
    if not told.records:
        said = f"no CAA record limits who may certify {name}"
        return finding.Finding("caa", finding.Level.OK, said, path=where)
    if not identities:
        said = (
            f"CAA at {told.owner} limits who may certify {name}, and {ca.directory} does not say"
            " what it is called there"
        )
        do = "compare with the CA's own documents"
        return finding.Finding("caa", finding.Level.HINT, said, do, path)
    strange = [each.tag for each in told.records if each.critical and each.tag not in _KNOWN_TAGS]
    counted = _counted(name, told)
    allowed = [value for value in counted if value.partition(";")[0].strip() in identities]
    if strange:
        said = f"CAA at {told.owner} has the critical tag {strange[0]}, so CAs refuse {name}"
        return finding.Finding("caa", level, said, "take the record out", where)
    if not counted or any(challenge in _methods(value, challenge) for value in allowed):
        said = f"CAA at {told.owner} lets {identities[0]} certify {name}"
        return finding.Finding("caa", finding.Level.OK, said, path=where)
    if allowed:
        said = f"CAA at {told.owner} lets {identities[0]} certify {name}, but not by {challenge}"
        do = f"add {challenge} to validationmethods in the record"
        return finding.Finding("caa", level, said, do, where)
    said = f"CAA at {told.owner} does not let {identities[0]} certify {name}"
    do = f'add the record {told.owner} CAA 0 issue "{identities[0]}"'
    return finding.Finding("caa", level, said, do, path)


def _counted(name: str, told: names.Authorizations) -> list[str]:
    """The values that count for a name: of a wildcard those of issuewild, if there are any."""
    issue = [each.value for each in told.records if each.tag == "issue"]
    wild = [each.value for each in told.records if each.tag == "issuewild"]
    return (wild or issue) if name.startswith(acme.WILDCARD) else issue


def _methods(value: str, default: str) -> tuple[str, ...]:
    """The ways of proof a CAA value allows; *default* when it names none."""
    for parameter in value.split(";")[1:]:
        key, _, listed = parameter.partition("=")
        if key.strip().lower() == "validationmethods":
            return tuple(method.strip() for method in listed.split(","))
    return (default,)


def _identities(ca: acme.Ca, answer: web.Answer | None) -> tuple[str, ...]:
    """What the CA is called in CAA records: as it says itself, or as is known."""
    told = _meta(answer).get("caaIdentities")
    if isinstance(told, list) and told:
        return tuple(str(each) for each in told)
    return (LETS_ENCRYPT,) if LETS_ENCRYPT in ca.directory else ()


def _meta(answer: web.Answer | None) -> dict[str, object]:
    told = answer.content.get("meta") if answer else None
    return told if isinstance(told, dict) else {}


def _directory(
    ca: acme.Ca, answer: web.Answer, level: finding.Level, path: finding.Path
) -> Iterator[finding.Finding]:
    """Whether the CA answers, and has what is asked of it."""
    if answer.failure or "newOrder" not in answer.content:
        why = answer.failure or "what it answered is none"
        said = f"no ACME directory at {ca.directory}: {why}"
        do = "without it nothing is renewed: see DNS, the way out, and the directory's address"
        yield finding.Finding("acme", level, said, do, path)
        return
    yield finding.Finding("acme", finding.Level.OK, f"{ca.directory} answers", path=path)
    beside = path[:-1]
    profiles = _meta(answer).get("profiles")
    known = tuple(profiles) if isinstance(profiles, dict) else ()
    if ca.profile and ca.profile not in known:
        there = f"it has {', '.join(map(str, known))}" if known else "it has none at all"
        worse = level if ca.profile_required else finding.Level.WARNING
        said = f"{ca.directory} has no profile {ca.profile}: {there}"
        do = "choose one of them, or leave profile out"
        yield finding.Finding("profile", worse, said, do, (*beside, "profile"))
    if _meta(answer).get("externalAccountRequired") is True and ca.eab is None:
        said = f"{ca.directory} wants an account that one has with it already (eab)"
        do = "get a key from the CA and write it into eab"
        yield finding.Finding("account", level, said, do, (*beside, "eab"))


def _port(site: model.Site, place: Place, wanted: acme.Acme, found: seen.Seen) -> finding.Finding:
    port = wanted.http_port
    path = (*place, "http_port")
    name = names_by_place(site)[place][0]
    if found.listeners:
        who = ", ".join(
            f"{each.name} (process {each.pid})" if each.name else "a program of another user"
            for each in found.listeners
        )
        said = f"{who} listens on port {port}, which the proof for the CA needs"
        do = (
            "end it, or set certificate.acme.http_port and let it forward"
            " /.well-known/acme-challenge/ there"
        )
        return finding.Finding("port-80", finding.Level.WARNING, said, do, path)
    if port != 80:
        said = f"the proof for the CA is given on port {port}, and the CA always dials port 80"
        do = f"see that port 80 of {name} is forwarded to port {port} of this machine"
        return finding.Finding("port-80", finding.Level.HINT, said, do, path)
    said = "nobody listens on port 80; the proof for the CA can be given there"
    return finding.Finding("port-80", finding.Level.OK, said, path=path)
