"""What a site's routes mean: every rule that can decide a call, and which one wins.

A rule says: calls from these parties, to numbers like this, go to these targets in this order.
Rules come from ``routes:`` and, beneath those, from the numbers of phones and trunks. Of the rules
that fit a call the first one in this order decides:

1. What stands in ``routes:`` before what phones and trunks imply.
2. Emergency numbers, then one number, then a range, then the longest prefix, then everything.
3. A rule that names the caller before one for anybody.

A call never goes back to where it came from unless a route names that party in ``from`` and in
``to``; a rule for anybody that would only lead back is none for that caller.

This is the meaning; ``render.routes`` compiles it into the table that Kamailio walks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from orchestrator.site import model

TEAMS = "teams"
"""The party behind Microsoft's names."""

PHONE = "phone"
"""The party of all phones that register here; ``phones`` in site.yaml."""

TRUNK_CODES = (500, 502, 503, 504)
"""Answers of a trunk that lead on where a route does not say which (SIG-26)."""

TRANSFER = "transfer-"
"""How the users begin that a PBX calls to carry out a transfer; only the one it was given leads
anywhere (docs/decisions/0009)."""

EVERY_REFUSAL = tuple(range(300, 700))
"""Answers that lead on in a call for help while there is somebody else to ask."""

TEAMS_CODES = (503,)
"""The answer of Teams that leads on: SIG-14, SIG-15."""

MOST_DIGITS = 15
"""Digits of a number (E.164); longer ones are matched by prefix only."""

Path = tuple[str | int, ...]

_NUMBER = re.compile(rf"\+?[0-9]{{1,{MOST_DIGITS}}}")


class Precision(IntEnum):
    """How precisely a rule says which numbers it is for; the lowest decides."""

    EMERGENCY = 0
    NUMBER = 1
    RANGE = 2
    PREFIX = 3
    EVERYTHING = 4


@dataclass(frozen=True, slots=True)
class Match:
    """Which dialled numbers a rule is for.

    Attributes:
        precision: How to read the others.
        first: The number, the prefix or the first number of the range.
        last: The last number of the range.
    """

    precision: Precision
    first: str = ""
    last: str = ""

    def fits(self, number: str) -> bool:
        """Whether *number*, the user part of the request URI, is one of them."""
        if self.precision is Precision.EVERYTHING:
            return True
        if self.precision is Precision.PREFIX:
            return number.startswith(self.first)
        if self.precision is Precision.RANGE:
            # Numbers of one length are in the order of their text.
            is_alike = len(number) == len(self.first) and _NUMBER.fullmatch(number) is not None
            same = number.startswith("+") == self.first.startswith("+")
            return is_alike and same and self.first <= number <= self.last
        return number == self.first

    def __str__(self) -> str:
        kind = self.precision.name.lower()
        if self.precision is Precision.EVERYTHING:
            return kind
        if self.precision is Precision.EMERGENCY:
            return f"emergency number {self.first}"
        return f"{kind} {self.first}{f'-{self.last}' if self.last else ''}"


@dataclass(frozen=True, slots=True)
class Hop:
    """One target of a rule.

    Attributes:
        party: ``teams``, ``phone`` or the name of a trunk.
        codes: Answers that lead on to the next one, sorted.
        ring_within: Seconds in which it must ring, or None.
        answer_within: Seconds in which it must be answered, or None.
        may_return: True when calls may come from this party as well.
    """

    party: str
    codes: tuple[int, ...]
    ring_within: int | None = None
    answer_within: int | None = None
    may_return: bool = False

    def serves(self, source: str) -> bool:
        """Whether a call of *source* may go there; phones call each other."""
        return self.party == PHONE or self.party != source or self.may_return


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that can decide a call.

    Attributes:
        name: The name of the route; for what is implied, a dot and the party it leads to.
        path: Its place in site.yaml; empty when it stands nowhere.
        match: Which numbers it is for.
        sources: The parties it is for; empty for anybody.
        hops: Its targets, in order.
        is_route: True when it stands in ``routes:``.
        own: True for the way to a tenant's own trunks.
    """

    name: str
    path: Path
    match: Match
    sources: tuple[str, ...]
    hops: tuple[Hop, ...]
    is_route: bool = True
    own: bool = False

    @property
    def rank(self) -> tuple[bool, bool, Precision, int, bool]:
        """The lowest rank decides."""
        emergency = self.is_route and self.match.precision is Precision.EMERGENCY
        longest = -len(self.match.first) if self.match.precision is Precision.PREFIX else 0
        late = not (emergency or self.own)
        return (
            late,
            not (self.is_route or self.own),
            self.match.precision,
            longest,
            not self.sources,
        )

    def serves(self, source: str) -> bool:
        """Whether it is a rule for calls of *source*."""
        if self.sources:
            return source in self.sources
        return any(hop.serves(source) for hop in self.hops)


def rules_of(site: model.Site) -> tuple[Rule, ...]:
    """Every rule of a site: its routes, then what phones and trunks imply."""
    return (*_routes(site), *_phones(site), *_trunks(site), _otherwise())


def parties_of(site: model.Site) -> tuple[str, ...]:
    """Everybody who can call: Teams, the phones if there are any, the trunks."""
    return (TEAMS, *((PHONE,) if site.phones else ()), *site.trunks)


def own_trunks(site: model.Site) -> frozenset[str]:
    """The trunks that carry calls of the tenants which list them, and of no other tenant."""
    return frozenset(name for tenant in site.tenants.values() for name in tenant.trunks)


def way_of(trunks: Iterable[str]) -> str:
    """The name of the way to a tenant's own trunks, in their order; no route is called so."""
    return "." + "+".join(trunks)


def own_ways(site: model.Site) -> dict[str, tuple[Hop, ...]]:
    """Every way to trunks of tenants' own: its name, and its targets."""
    lists = {tenant.trunks for tenant in site.tenants.values() if tenant.trunks}
    return {
        way_of(each): tuple(Hop(name, default_codes(name)) for name in each)
        for each in sorted(lists)
    }


def own_rule(site: model.Site, tenant: str) -> Rule | None:
    """The way from Teams to a tenant's own trunks; None when it has none."""
    own = site.tenants[tenant].trunks
    if not own:
        return None
    path = ("tenants", tenant, "trunks")
    everything = Match(Precision.EVERYTHING)
    hops = own_ways(site)[way_of(own)]
    return Rule(way_of(own), path, everything, (TEAMS,), hops, is_route=False, own=True)


def helping_way(trunks: Iterable[str]) -> str:
    """What stands before the name of an emergency route, for tenants with trunks for its calls."""
    return f"{way_of(trunks)}." if trunks else ""


def helping_ways(site: model.Site) -> dict[str, tuple[Hop, ...]]:
    """Every way of calls for help that begins with trunks of a tenant's choice."""
    emergencies = {
        rule.name: rule.hops
        for rule in _routes(site)
        if rule.match.precision is Precision.EMERGENCY and rule.serves(TEAMS)
    }
    lists = {each.emergency.trunks for each in site.tenants.values() if each.emergency}
    return {
        f"{helping_way(trunks)}{name}": _with_first(trunks, hops, site.teams.failover_time)
        for trunks in sorted(lists - {()})
        for name, hops in emergencies.items()
    }


def _with_first(trunks: tuple[str, ...], hops: tuple[Hop, ...], seconds: int) -> tuple[Hop, ...]:
    """These trunks, then the targets that are not among them.

    Each trunk has its share of the seconds in which somebody must ring (SIG-25), so that what
    comes after them is asked as well.
    """
    later = tuple(hop for hop in hops if hop.party not in trunks)
    share = max(1, (seconds - 1) // (len(trunks) + 1))
    first = [Hop(name, EVERY_REFUSAL, share) for name in trunks]
    if not any(hop.serves(TEAMS) and hop.party != TEAMS for hop in later):
        first[-1] = Hop(trunks[-1], default_codes(trunks[-1]))
    return (*first, *later)


def helping_rule(site: model.Site, tenant: str, rule: Rule) -> Rule | None:
    """What an emergency route is for calls of this tenant; None when it is as for all."""
    own = site.tenants[tenant].emergency
    if own is None or not own.trunks or rule.match.precision is not Precision.EMERGENCY:
        return None
    name = helping_way(own.trunks) + rule.name
    path = ("tenants", tenant, "emergency", "trunks")
    hops = helping_ways(site)[name]
    return Rule(name, path, rule.match, (TEAMS,), hops, is_route=False, own=True)


def fitting(rules: Iterable[Rule], source: str, number: str) -> list[Rule]:
    """The rules that decide a call of *source* to *number*, the one that does first."""
    if number.lower().startswith(TRANSFER):
        return []
    found = [rule for rule in rules if rule.match.fits(number) and rule.serves(source)]
    return sorted(found, key=lambda rule: rule.rank)


def party_of(word: str) -> str:
    """The party for a word of site.yaml."""
    return PHONE if word == "phones" else word


def default_codes(party: str) -> tuple[int, ...]:
    """Answers of *party* that lead on to the next target where a route does not say which."""
    if party == PHONE:
        return ()
    return TEAMS_CODES if party == TEAMS else TRUNK_CODES


def matches_of(route: model.Route) -> tuple[Match, ...]:
    """The numbers a route is for."""
    if route.emergency is not None:
        return tuple(Match(Precision.EMERGENCY, number) for number in route.emergency)
    if route.number is not None:
        return (Match(Precision.NUMBER, route.number),)
    if route.range is not None:
        return (Match(Precision.RANGE, route.range.first, route.range.last),)
    if route.prefix is not None:
        return (Match(Precision.PREFIX, route.prefix),)
    return (Match(Precision.EVERYTHING),)


def _routes(site: model.Site) -> Iterator[Rule]:
    for name, route in site.routes.items():
        sources = tuple(party_of(word) for word in route.sources)
        hops = tuple(_hop(target, sources) for target in route.to)
        for match in matches_of(route):
            yield Rule(name, ("routes", name), match, sources, hops)


def _hop(target: model.Target, sources: tuple[str, ...]) -> Hop:
    party = party_of(target.party)
    codes = default_codes(party) if target.failover_on is None else target.failover_on
    return Hop(
        party=party,
        codes=tuple(sorted(set(codes))),
        ring_within=target.ring_within,
        answer_within=target.answer_within,
        may_return=party in sources,
    )


def _implied(party: str, path: Path, match: Match, sources: tuple[str, ...] = ()) -> Rule:
    hop = Hop(party, default_codes(party))
    return Rule(f".{party}", path, match, sources, (hop,), is_route=False)


def _phones(site: model.Site) -> Iterator[Rule]:
    for user, phone in site.phones.users.items() if site.phones else ():
        path = ("phones", "users", user, "number")
        yield _implied(PHONE, path, Match(Precision.NUMBER, phone.number))


def _trunks(site: model.Site) -> Iterator[Rule]:
    owned = own_trunks(site)
    for name, trunk in site.trunks.items():
        for place, prefix in enumerate(trunk.numbers or ()):
            path = ("trunks", name, "numbers", place)
            match = Match(Precision.PREFIX, prefix)
            yield _implied(name, path, match)
            # A trunk that dials what it serves itself means Teams, not a shorter prefix.
            yield _implied(TEAMS, path, match, (name,))
        if trunk.numbers is None and name not in owned:
            yield _implied(name, ("trunks", name), Match(Precision.EVERYTHING), (TEAMS,))


def _otherwise() -> Rule:
    """What nothing else is for goes to Teams."""
    return _implied(TEAMS, (), Match(Precision.EVERYTHING))


# -- ranges -----------------------------------------------------------------------------------


def prefixes_of(first: str, last: str) -> tuple[str, ...]:
    """The fewest prefixes that cover the numbers *first* to *last*, both of one length.

    A number of the same length is in the range when it begins with one of them.
    """
    plus = "+" if first.startswith("+") else ""
    width = len(first) - len(plus)
    low, high = int(first), int(last)
    found = []
    while low <= high:
        size, digits = 1, width
        # Take the largest block of ten that begins here and does not end behind the range.
        while digits > 1 and low % (size * 10) == 0 and low + size * 10 - 1 <= high:
            size, digits = size * 10, digits - 1
        found.append(f"{plus}{low // size:0{digits}d}")
        low += size
    return tuple(found)
