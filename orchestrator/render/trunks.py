"""What Kamailio's tables and lists say about each party: Teams, phones and every trunk.

A party is ``teams``, ``phone`` or the name of a trunk. Everything that differs from party to
party is data of these tables, so that another trunk changes no line of the skeleton.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.render import accounts, tables
from orchestrator.site import callers, microsoft, model, routes, tenants

TEAMS = "teams"
"""The party behind Microsoft's names."""

PHONE = "phone"
"""The party of all phones that register here."""

GONE = "gone"
"""The party of calls whose trunk is no longer in site.yaml; they are carried to their end."""

TEAMS_SET = 1
"""Dispatcher set of Microsoft's names, and the number of the party Teams."""

FIRST_TRUNK_SET = 1000
"""Dispatcher sets of trunks begin here; which one a trunk has follows from its name alone."""

FIRST_FULL_SET = 100
"""Dispatcher sets of Microsoft's names for tenants with a trunk of their own begin here."""

_PHONE_NUMBER = 2
_TRUNK_SETS = 1_000_000

TEAMS_GROUP = 1
"""Address group of Microsoft's networks in the permissions module."""

DISTRIBUTION_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
"""The CAs that Debian trusts (package ca-certificates)."""

TRUNK_GROUP = 2
"""Address group of the trunks' gateways; each carries its trunk's name as a tag."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One line of dispatcher.list."""

    set_id: int
    uri: str
    socket: str
    ping_from: str
    priority: int
    weight: int = 0


@dataclass(frozen=True, slots=True)
class FullTrunk:
    """A listener for a tenant that Microsoft knows by an SBC of its own.

    Attributes:
        fqdn: The name of that SBC.
        bind: Where it is dialled, and from where it dials.
        public: The address in its Via: Kamailio would look up a name when it starts, in the
            tenant's DNS, and wait for it.
        set_id: Its dispatcher set: Microsoft's names, asked by its own OPTIONS.
    """

    fqdn: str
    bind: str
    public: str
    set_id: int


@dataclass(frozen=True, slots=True)
class Address:
    """One line of addresses.list: who may speak to us from where."""

    group: int
    network: str
    prefix: int
    tag: str


def trunk_sets(names: Iterable[str]) -> dict[str, int]:
    """Return the dispatcher set of each trunk.

    A set follows from the trunk's name, so that a new trunk never moves another one to a set
    that was somebody else's while Kamailio reads tables and destinations one after the other.
    Two names that meet (one in a million) are told apart in alphabetical order.
    """
    sets: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(names):
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % _TRUNK_SETS
        while number in taken:
            number = (number + 1) % _TRUNK_SETS
        taken.add(number)
        sets[name] = FIRST_TRUNK_SET + number
    return sets


def full_trunks(site: model.Site) -> tuple[FullTrunk, ...]:
    """The listeners for tenants with a trunk of their own, in the order of their sets."""
    return tuple(
        FullTrunk(each.fqdn, each.address, each.public, set_id=FIRST_FULL_SET + place)
        for place, each in enumerate(site.full_trunks.values())
    )


def destinations(site: model.Site) -> tuple[Destination, ...]:
    """The lines of dispatcher.list: Microsoft's names in their order, then the trunks.

    OPT-11: OPTIONS go out under our own name, and under that of each tenant whose trunk is its
    own at Microsoft; the other tenants have none.
    """
    own = [(each.set_id, each.fqdn, each.fqdn) for each in full_trunks(site)]
    teams = [
        Destination(
            set_id=number,
            uri=f"sip:{name}:5061;transport=tls",
            socket=socket,
            ping_from=f"sip:{fqdn}",
            priority=100 - place,
        )
        for number, socket, fqdn in ((TEAMS_SET, "teams", site.teams.fqdn), *own)
        for place, name in enumerate(microsoft.names(site))
    ]
    sets = trunk_sets(site.trunks)
    trunks = [
        Destination(
            set_id=sets[name],
            uri=gateway.uri,
            socket=f"trunk_{gateway.transport}",
            ping_from=f"sip:{site.node.trunk_bind}",
            priority=100 - place,
            weight=gateway.weight or 0,
        )
        for name, trunk in sorted(site.trunks.items())
        for place, gateway in enumerate(_in_order(trunk))
    ]
    return tuple(teams + trunks)


def _in_order(trunk: model.Trunk) -> list[model.Gateway]:
    """The gateways in the order they are tried: by priority, then as they are listed."""
    return sorted(trunk.gateways, key=lambda gateway: gateway.priority or 0)


def addresses(site: model.Site) -> tuple[Address, ...]:
    """The lines of addresses.list."""
    found = []
    for network in microsoft.networks(site):
        address, _, prefix = network.partition("/")
        found.append(Address(group=TEAMS_GROUP, network=address, prefix=int(prefix), tag=TEAMS))
    for name, trunk in sorted(site.trunks.items()):
        hosts = dict.fromkeys(gateway.host for gateway in trunk.gateways)
        found += [Address(group=TRUNK_GROUP, network=host, prefix=32, tag=name) for host in hosts]
    return tuple(found)


def party_table(site: model.Site) -> tables.Table:
    """The table ``party``: name -> number and number -> name, for the seal of a dialog."""
    numbers = {TEAMS: TEAMS_SET, PHONE: _PHONE_NUMBER, **trunk_sets(site.trunks)}
    entries = {name: str(number) for name, number in numbers.items()}
    return tables.table("party", entries | {number: name for name, number in entries.items()})


def trunk_table(site: model.Site) -> tables.Table:
    """The table ``trunk``: name -> what routing asks about it, as a string of parameters."""
    sets, owned = trunk_sets(site.trunks), routes.own_trunks(site)
    return tables.table(
        "trunk",
        {
            name: _trunk_params(trunk, sets[name], own=name in owned)
            for name, trunk in site.trunks.items()
        },
    )


def _trunk_params(trunk: model.Trunk, number: int, *, own: bool) -> str:
    values = [
        ("set", str(number)),
        ("kind", trunk.kind),
        ("early", trunk.early_media),
        ("transfer", trunk.transfer),
        ("location", trunk.location),
    ]
    if any(gateway.weight for gateway in trunk.gateways):
        # Of the dispatcher's ways of choosing: by weights relative to those that answer.
        values.append(("alg", "11"))
    if own:
        # Of the tenants that list it, and closed to all others.
        values.append(("own", "1"))
    if trunk.srtp:
        values.append(("srtp", "1"))
    if trunk.hold_music:
        values.append(("music", trunk.hold_music))
    if trunk.tls and trunk.tls.name:
        values.append(("name", trunk.tls.name))
    if trunk.registration:
        values.append(("contact", accounts.contact_user(trunk.registration)))
    return tables.params([*values, *limits_of(trunk.limits), *_identity(trunk)])


def limits_of(limits: tenants.Limits | None) -> list[tuple[str, str]]:
    """What the row of a trunk or a tenant says of its limits."""
    if limits is None:
        return []
    given = (
        ("max", limits.calls),
        ("cps", limits.calls_per_second),
        ("min", limits.minutes_per_day),
    )
    return [(key, str(most)) for key, most in given if most is not None]


def _identity(trunk: model.Trunk) -> list[tuple[str, str]]:
    """How it writes numbers and what it learns about callers (docs/decisions/0013)."""
    ours = trunk.kind is model.TrunkKind.PBX
    usual = callers.History.PASS if ours else callers.History.DROP
    values = [("hist", str(trunk.history or usual))]
    trusted = ours if trunk.trusted is None else trunk.trusted
    if trusted:
        values.append(("trust", "1"))
    if trusted or not ours:
        # SIG-3: a carrier vouches for what it asserts; of From it only passes on what was said.
        values.append(("vouch", "1"))
    if trunk.caller_id.main:
        values += [("cid", trunk.caller_id.policy), ("main", trunk.caller_id.main)]
    if trunk.numbering:
        own = trunk.numbering
        values += [("cc", own.country), ("np", own.national_prefix)]
        values += [("ip", own.international_prefix), ("out", own.out), ("ext", own.extension)]
    return [(key, value) for key, value in values if value]


def allowed_table(site: model.Site) -> tables.Table:
    """The table ``allowed``: ``TRUNK/BEGINNING`` of each number that may be shown there."""
    return tables.table(
        "allowed",
        {
            f"{name}/{beginning}": "1"
            for name, trunk in site.trunks.items()
            for beginning in trunk.caller_id.allowed
        },
    )


def speaks_tls(site: model.Site) -> bool:
    """Whether some trunk is reached by TLS."""
    return any(trunk.transport is model.Transport.TLS for trunk in site.trunks.values())


def roots(site: model.Site) -> str:
    """The file of the CAs that may vouch for trunks; one for all of them (account_rules)."""
    named = (trunk.tls.ca for trunk in site.trunks.values() if trunk.tls and trunk.tls.ca)
    return next(named, DISTRIBUTION_ROOTS)


def media_table(site: model.Site, rtpengine: tuple[int, int]) -> tables.Table:
    """The table ``media``: ``PARTY/offer`` and ``PARTY/answer`` -> RTPEngine's flags towards it.

    Args:
        site: The site.
        rtpengine: The version of RTPEngine, for example ``(10, 5)``.
    """
    entries = {
        f"{TEAMS}/offer": f"{_secure(rtpengine)} rtcp-mux-offer",
        f"{TEAMS}/answer": f"{_secure(rtpengine)} rtcp-mux-accept",
    }
    encrypted = {name for name, trunk in site.trunks.items() if trunk.srtp}
    for party in (PHONE, GONE, *site.trunks):
        how = _ENCRYPTED if party in encrypted else _PLAIN
        entries[f"{party}/offer"] = f"{how} rtcp-mux-demux {_STRIP}"
        entries[f"{party}/answer"] = how
    for name, trunk in site.trunks.items():
        if trunk.codecs is not None:
            own = trunk.codecs
            theirs = _understood(own) if trunk.transcode else own
            entries[f"{name}/codecs"] = _codecs(own, transcode=trunk.transcode)
            entries[f"{name}/codecs-of"] = _codecs(theirs, transcode=trunk.transcode)
            if not trunk.transcode:
                entries[f"{name}/voices"] = _voices(own)
    return tables.table("media", entries)


def _codecs(wanted: tuple[model.Codec, ...], *, transcode: bool) -> str:
    """Flags that leave these codecs in their order, with DTMF and comfort noise (MED-18, 19)."""
    # A codec that is stripped is gone for RTPEngine as well; one that is masked it can translate.
    hide, ways = ("mask", ("offer", "transcode")) if transcode else ("strip", ("offer",))
    chosen = [f"codec-{way}-{codec}" for codec in wanted for way in ways]
    return " ".join(
        (f"codec-{hide}-all", *chosen, "codec-offer-telephone-event", "codec-offer-CN")
    )


_STATIC = {"PCMU": "0", "PCMA": "8", "G722": "9", "G729": "18"}


def _voices(own: tuple[model.Codec, ...]) -> str:
    """An expression that finds one of these codecs in an offer, by name or by its fixed number."""
    numbers = "|".join(_STATIC[codec] for codec in own if codec in _STATIC)
    names = f"rtpmap:[0-9]+ ({'|'.join(own)})/"
    return f"{names}|m=audio [0-9/]+ [A-Z/]+( [0-9]+)* ({numbers})[^0-9]" if numbers else names


def _understood(own: tuple[model.Codec, ...]) -> tuple[model.Codec, ...]:
    """What others are offered for a trunk that is translated: Teams has no opus (MED-15)."""
    spoken = (codec for codec in own if codec is not model.Codec.OPUS)
    return tuple(dict.fromkeys((*spoken, model.Codec.PCMA, model.Codec.PCMU)))


_ALWAYS = "replace-origin replace-session-connection port-latching ICE=remove"
_PLAIN = f"RTP/AVP {_ALWAYS}"
_ENCRYPTED = f"RTP/SAVP {_ALWAYS} DTLS=off " + " ".join(
    f"SDES-no-{suite}"
    for suite in microsoft.UNWANTED_SUITES
    if suite not in ("AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80")
)
"""SRTP as PBXs and carriers speak it: the common suite, its short tags, its longer key."""
_STRIP = "codec-strip-SILK codec-strip-SIREN codec-strip-x-msrta codec-strip-RED codec-strip-G7221"


def _secure(rtpengine: tuple[int, int]) -> str:
    """SRTP with the one suite Teams takes (MED-1, MED-3, MED-4; teams.md 11)."""
    if rtpengine >= (11, 2):
        suites = "SDES-only-AES_CM_128_HMAC_SHA1_80"
    else:
        suites = " ".join(f"SDES-no-{suite}" for suite in microsoft.UNWANTED_SUITES)
    # Not generate-RTCP: with rtcp-mux, 12.5 signs its own RTCP by the key of RTP, and 10.5 makes
    # none on hold (docs/limits.md). What the trunk says passes (MED-13).
    return f"RTP/SAVP {_ALWAYS} DTLS=off SDES-lifetime {suites}"
