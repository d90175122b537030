"""What no single field of a route can know: parties that exist, numbers that two routes take.

Pure, like ``rules``, which asks each function here.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator

from orchestrator import errors
from orchestrator.site import model, routes

MOST_ROWS = 50_000
"""Rows of the table of routes; Kamailio's reader of tables refuses 100,000 (engines.md 3.3)."""

SILENCE = 3
"""Seconds after which an address that says nothing is given up; tm's fr_timer."""


def _parties(site: model.Site) -> Iterator[tuple[routes.Path, str]]:
    for name, route in site.routes.items():
        for place, word in enumerate(route.sources):
            yield ("routes", name, "from", place), word
        for place, target in enumerate(route.to):
            yield ("routes", name, "to", place), target.party


def _find_unknown_parties(site: model.Site) -> Iterator[errors.Problem]:
    known = ["teams", *(["phones"] if site.phones else []), *site.trunks]
    for path, word in _parties(site):
        if word not in known:
            meant = difflib.get_close_matches(word, known, n=1)
            yield errors.Problem(
                "unknown-party",
                f"there are no phones in this site, and routes.{path[1]} names them"
                if word == "phones"
                else f"routes.{path[1]} names {word}, which is no trunk",
                path,
                hint=f"did you mean {meant[0]}?" if meant else f"there are {', '.join(known)}",
            )


def _find_repeated_parties(site: model.Site) -> Iterator[errors.Problem]:
    seen: set[tuple[object, ...]] = set()
    for path, word in _parties(site):
        once = (*path[:3], word)
        if once in seen:
            yield errors.Problem(
                "party-twice",
                f"routes.{path[1]}.{path[2]} names {word} twice",
                path,
                hint="once is enough; all gateways of a trunk are tried before the next target",
            )
        seen.add(once)


def _find_retries_at_teams(site: model.Site) -> Iterator[errors.Problem]:
    """SIG-15: one declined call must not become several missed calls."""
    for name, route in site.routes.items():
        for place, target in enumerate(route.to):
            for number, code in enumerate(target.failover_on or ()):
                if target.party == routes.TEAMS and not 500 <= code <= 599:
                    yield errors.Problem(
                        "teams-said-no",
                        f"after a {code} of Teams a call is not tried elsewhere (SIG-15)",
                        ("routes", name, "to", place, "failover_on", number),
                        hint="Teams has answered for the user; list codes from 500 to 599",
                    )


def _find_limited_emergencies(site: model.Site) -> Iterator[errors.Problem]:
    for name, route in site.routes.items():
        for place, target in enumerate(route.to):
            if route.emergency and target.answer_within is not None:
                yield errors.Problem(
                    "emergency-limit",
                    f"routes.{name} is for emergency calls, and none is given up while it rings",
                    ("routes", name, "to", place, "answer_within"),
                    hint="ring_within is possible: it passes over who does not even ring",
                )


def _find_repeated_emergencies(site: model.Site) -> Iterator[errors.Problem]:
    for name, route in site.routes.items():
        numbers = route.emergency or ()
        for place, number in enumerate(numbers):
            if number in numbers[:place]:
                yield errors.Problem(
                    "number-twice",
                    f"routes.{name} names the emergency number {number} twice",
                    ("routes", name, "emergency", place),
                    hint="remove one of the two",
                )


def _find_clashes(site: model.Site) -> Iterator[errors.Problem]:
    """Two routes for the same number from the same caller, equally precise."""
    told: set[tuple[str, str]] = set()
    for first, second, source in itertools.chain(_equal(site), _overlapping(site)):
        if first.name == second.name or (first.name, second.name) in told:
            continue
        told.add((first.name, second.name))
        who = f"calls from {source}" if source else "calls from anybody"
        yield errors.Problem(
            "routes-clash",
            f"routes.{second.name} ({second.match}) and routes.{first.name} ({first.match}) both "
            f"take {who}",
            (*second.path, *_field(site.routes[second.name])),
            hint="say in one of them which callers or which numbers are meant",
        )


def _field(route: model.Route) -> tuple[str, ...]:
    for key in ("emergency", "number", "range", "prefix"):
        if getattr(route, key) is not None:
            return (key,)
    return ()


_Pair = tuple[routes.Rule, routes.Rule, str]


def _by_source(site: model.Site) -> Iterator[tuple[str, routes.Rule]]:
    for rule in routes.rules_of(site):
        if rule.is_route:
            for source in rule.sources or ("",):
                yield source, rule


def _equal(site: model.Site) -> Iterator[_Pair]:
    seen: dict[tuple[str, routes.Match], routes.Rule] = {}
    for source, rule in _by_source(site):
        if rule.match.precision is not routes.Precision.RANGE:
            first = seen.setdefault((source, rule.match), rule)
            if first is not rule:
                yield first, rule, source


def _overlapping(site: model.Site) -> Iterator[_Pair]:
    ranges = [
        (source, len(rule.match.first), rule.match.first, place, rule)
        for place, (source, rule) in enumerate(_by_source(site))
        if rule.match.precision is routes.Precision.RANGE
    ]
    widest: tuple[str, int, str, int, routes.Rule] | None = None
    # A plus is before every digit, so numbers with one do not mix with those without.
    for each in sorted(ranges, key=lambda found: found[:4]):
        if widest is not None and each[:2] == widest[:2] and each[2] <= widest[4].match.last:
            first, second = sorted((widest, each), key=lambda found: found[3])
            yield first[4], second[4], each[0]
            if each[4].match.last <= widest[4].match.last:
                continue
        widest = each


def _find_too_many_rows(site: model.Site) -> Iterator[errors.Problem]:
    rows = sum(len(trunk.numbers or ()) for trunk in site.trunks.values())
    for name, route in site.routes.items():
        for match in routes.matches_of(route):
            is_range = match.precision is routes.Precision.RANGE
            rows += len(routes.prefixes_of(match.first, match.last)) if is_range else 1
        if rows > MOST_ROWS:
            yield errors.Problem(
                "too-many-rows",
                f"the numbers of trunks and routes are more than {MOST_ROWS:,} rows",
                ("routes", name),
                hint="ranges that begin and end at round numbers need few rows",
            )
            return


def find_hints(site: model.Site) -> Iterator[errors.Problem]:
    """Targets that calls from Teams never reach: it goes to its next SBC first (SIG-25)."""
    least = site.teams.failover_time - 1
    for name, route in site.routes.items():
        if route.sources and routes.TEAMS not in route.sources:
            continue
        passed = 0
        for place, target in enumerate(route.to):
            if target.party == routes.TEAMS:
                continue
            if passed >= least:
                yield errors.Problem(
                    "too-late",
                    f"when the targets before {target.party} say nothing, it is asked after "
                    f"{passed} s, and by then Teams has gone to its next SBC (SIG-25)",
                    ("routes", name, "to", place),
                    hint="fewer targets, a shorter ring_within, or a longer teams.failover_time",
                )
                break
            passed += max(_silence_of(site, target.party), target.ring_within or 0)


def _silence_of(site: model.Site, party: str) -> int:
    """Seconds until the last address of a party that says nothing is given up."""
    trunk = site.trunks.get(party)
    return SILENCE * (len(trunk.gateways) if trunk else 1)


RULES: tuple[Callable[[model.Site], Iterator[errors.Problem]], ...] = (
    _find_unknown_parties,
    _find_repeated_parties,
    _find_retries_at_teams,
    _find_limited_emergencies,
    _find_repeated_emergencies,
    _find_clashes,
    _find_too_many_rows,
)
"""Each finds Problems of one kind."""
