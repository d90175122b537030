"""Random sites with routes, and random calls through them; the same seed gives the same ones.

Numbers are few and alike on purpose, so that exact numbers, ranges and prefixes meet.
"""

from __future__ import annotations

import copy
import random

from orchestrator.site import model, route_rules, routes, rules

BASE = {
    "version": "1",
    "site": "random",
    "node": {"public_address": "203.0.113.10", "trunk_address": "192.0.2.10"},
    "teams": {"fqdn": "sbc.example.com", "networks": ["198.51.100.0/24"]},
    "certificate": {"files": {"chain": "/c", "key": "/k"}},
}
TRUNKS = ("office", "berlin", "carrier", "backup", "factory", "branch")
PHONES = ("reception", "lobby", "gate")
EMERGENCIES = ("112", "110", "911", "+112")
NAMES = ("alice", "sip.user", "reception", "4a7", "+", "*21", "0049305", "+493051234567890123456")
FORMS = ("e164", "plain", "international", "national")
CODES = ("404", "480", "486", "500", "502", "503", "504", "600", "603")


def gateways_from(choose: random.Random) -> dict[str, list[str]]:
    """The gateways of each trunk there can be, one or two."""
    return {
        name: [f"sip:192.0.2.{20 + 2 * place + n}" for n in range(choose.randint(1, 2))]
        for place, name in enumerate(TRUNKS)
    }


def site_from(choose: random.Random, universe: dict | None = None) -> model.Site:
    """A valid site of one to six trunks, perhaps phones, and up to eight routes.

    With a *universe* it has some of that site's trunks, at the same gateways, and phones: what
    such sites differ in can be loaded into one running Kamailio.
    """
    names = list(TRUNKS)
    choose.shuffle(names)
    names = names[: choose.randint(1, len(names))]
    tree = copy.deepcopy(universe or BASE)
    taken: set[str] = set()
    gateways = (
        {name: trunk["gateways"] for name, trunk in universe["trunks"].items()}
        if universe
        else gateways_from(choose)
    )
    tree["trunks"] = {
        name: _trunk(choose, gateways[name], taken, is_default=place == 0)
        for place, name in enumerate(names)
    }
    if universe or choose.random() < 0.6:
        tree["phones"] = _phones(choose)
    tree["routes"] = {}
    for _ in range(choose.randint(0, 8)):
        tree["routes"][f"r{len(tree['routes'])}"] = _route(choose, tree)
        site = model.Site.model_validate(tree)
        if any(problem for rule in route_rules.RULES for problem in rule(site)):
            tree["routes"].popitem()
    site = model.Site.model_validate(tree)
    assert rules.find_problems(site) == ()
    return site


def calls_from(choose: random.Random, site: model.Site, count: int) -> list[tuple[str, str]]:
    """Calls through *site*: who calls, and the user that is dialled."""
    sources = routes.parties_of(site)
    known = [number for rule in routes.rules_of(site) for number in _around(rule.match)]
    return [
        (
            choose.choice(sources),
            choose.choice(known) if choose.random() < 0.7 else _dialled(choose),
        )
        for _ in range(count)
    ]


def _around(match: routes.Match) -> list[str]:
    """Numbers in, at and beside the ones a rule is for."""
    ends = [end for end in (match.first, match.last) if end]
    beside = [f"{end[:-1]}{(int(end[-1]) + step) % 10}" for end in ends for step in (1, 9)]
    return [*ends, *beside, *(f"{end}7" for end in ends), "+4930555"]


def _dialled(choose: random.Random) -> str:
    if choose.random() < 0.2:
        return choose.choice(NAMES + EMERGENCIES)
    return _number(choose, 2, 5)


def _number(choose: random.Random, least: int, most: int) -> str:
    digits = "".join(choose.choice("0159") for _ in range(choose.randint(least, most)))
    return choose.choice(("+4930", "+4930", "030", "0", "")) + digits


def _trunk(
    choose: random.Random, gateways: list[str], taken: set[str], *, is_default: bool
) -> dict:
    trunk = {"kind": choose.choice(("pbx", "carrier")), "gateways": gateways}
    if not is_default or choose.random() < 0.4:
        wanted = {_number(choose, 1, 4) for _ in range(choose.randint(0, 3))} - taken
        trunk["numbers"] = sorted(wanted)
        taken.update(trunk["numbers"])
    if choose.random() < 0.4:
        trunk["numbering"] = {"country": "49", "out": choose.choice(FORMS)}
    return trunk


def _phones(choose: random.Random) -> dict:
    numbers: dict[str, str] = {}
    for place, user in enumerate(PHONES):
        number = _number(choose, 2, 4)
        numbers[user] = number if number not in numbers.values() else f"88{place}"
    users = {
        user: {"number": number, "password": {"env": "PASSWORD"}}
        for user, number in numbers.items()
    }
    return {"realm": "sbc.example.com", "users": users}


def _route(choose: random.Random, tree: dict) -> dict:
    words = ["teams", *tree["trunks"], *(["phones"] if "phones" in tree else [])]
    route: dict = {"to": [_target(choose, word) for word in _some(choose, words)]}
    if choose.random() < 0.5:
        route["from"] = _some(choose, words)
    kind = choose.choice(("number", "range", "range", "prefix", "prefix", "emergency", ""))
    if kind == "emergency":
        route[kind] = choose.sample(EMERGENCIES, choose.randint(1, 2))
        for target in route["to"]:
            target.pop("answer_within", None)
    elif kind == "range":
        route[kind] = _range(choose)
    elif kind:
        route[kind] = _number(choose, 1, 4)
    return route


def _range(choose: random.Random) -> str:
    first = _number(choose, 1, 4)
    last = first[:-2] + "".join(choose.choice("0123456789") for _ in first[-2:])
    first, last = sorted((first, last if "+" in last or "+" not in first else first))
    return f"{first}-{last}"


def _some(choose: random.Random, words: list[str]) -> list[str]:
    return choose.sample(words, choose.randint(1, min(3, len(words))))


def _target(choose: random.Random, word: str) -> dict:
    target: dict = {"party": word}
    if choose.random() < 0.4:
        codes = [code for code in CODES if word != "teams" or code.startswith("5")]
        target["failover_on"] = choose.sample(codes, choose.randint(0, 3))
    if choose.random() < 0.1:
        target["ring_within"] = str(choose.randint(5, 30))
    if choose.random() < 0.1:
        target["answer_within"] = str(choose.randint(10, 60))
    return target
