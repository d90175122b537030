"""The rules of a site, compiled into the two tables that Kamailio walks for each call.

Table ``route``: which route takes a call. Its keys say how precisely a number is matched, and
which lengths P has there, so that the script looks for nothing that no row begins with:

========  =====================================================================
key       numbers
========  =====================================================================
``e112``  an emergency number
``=NR``   one number
``rL/P``  numbers of a range: L characters long, beginning with P
``pP``    numbers that begin with P
``*``     everything
``/L``    the lengths of P in ``rL/P``, the longest first, 0 at the end: ``11,10,0``
``/p``    the lengths of P in ``pP``
========  =====================================================================

The value is a string of parameters: the party that calls (``_any``: anybody) -> the name of the
route. Names with a dot in front are what phones and trunks imply; they hold when no row gave a
route. The value ``-`` says that this row holds nothing for that party.

Table ``target``: ``ROUTE/0``, ``ROUTE/1``... -> whom to try, and when to go on.

:func:`decide` walks these rows exactly as templates/kamailio/routes/routing.cfg.j2 does; a test
places calls for real and compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.site import model, routes

ANY = "_any"
"""In place of a party: anybody. No party's name begins with an underscore."""

REFUSED = "[3-6][0-9][0-9]"
"""In place of answers that lead on: every refusal."""

NOTHING = "-"
"""In place of a route: this row is none for that party."""

NO_CODE = "none"
"""In place of answers that lead on; an empty expression would fit every answer."""

_WIDTHS = "/"
_NUMBER = re.compile(r"\+?[0-9]{1,15}")
_LENGTHS = re.compile(r"/([0-9]{1,2}|p)")

_Rows = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The two tables, each sorted by key."""

    route: Mapping[str, str]
    target: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One target as the script takes it.

    Attributes:
        party: ``teams``, ``phone`` or the name of a trunk.
        codes: Answers that lead on to the next target.
        ring_within: Seconds in which it must ring, or None.
        answer_within: Seconds in which it must be answered, or None.
    """

    party: str
    codes: tuple[int, ...]
    ring_within: int | None
    answer_within: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the tables say about one call.

    Attributes:
        route: Name of the route; empty when there is none and the caller gets 404.
        key: The key of the row that said so; empty without a route.
        emergency: True for a call to an emergency number.
        steps: Whom to try, in order; empty when the route leads back to the caller only.
    """

    route: str
    key: str
    emergency: bool
    steps: tuple[Step, ...]


# -- compile ----------------------------------------------------------------------------------


def compile_site(site: model.Site) -> RouteTable:
    """Compile what *site* says about calls. Another route changes no row but its own."""
    rules = routes.rules_of(site)
    rows: _Rows = {}
    for rule in rules:
        for key in _keys_of(rule.match):
            row = rows.setdefault(key, {})
            for source in rule.sources or (ANY,):
                row[_param(rule, source)] = rule.name
    _hand_down(rows)
    for rule in rules:
        if not rule.sources:
            _leave_out(rule, rows)
    ways = {rule.name: rule.hops for rule in rules} | routes.own_ways(site)
    ways |= routes.helping_ways(site)
    targets = {
        f"{name}/{place}": _target(hop)
        for name, hops in ways.items()
        for place, hop in enumerate(hops)
    }
    compiled = {key: _join(row) for key, row in rows.items()}
    compiled |= widths_of(compiled)
    return RouteTable(
        route={key: compiled[key] for key in sorted(compiled)},
        target={key: targets[key] for key in sorted(targets)},
    )


def _keys_of(match: routes.Match) -> tuple[str, ...]:
    precision = match.precision
    if precision is routes.Precision.RANGE:
        width = len(match.first)
        return tuple(f"r{width}/{part}" for part in routes.prefixes_of(match.first, match.last))
    if precision is routes.Precision.EVERYTHING:
        return ("*",)
    letters = {
        routes.Precision.EMERGENCY: "e",
        routes.Precision.NUMBER: "=",
        routes.Precision.PREFIX: "p",
    }
    return (letters[precision] + match.first,)


def widths_of(keys: Iterable[str]) -> dict[str, str]:
    """The rows that say how long the beginnings in *keys* are."""
    found: dict[str, set[int]] = {}
    for key in keys:
        kind = key[0]
        if kind == "p":
            found.setdefault("p", set()).add(len(key) - 1)
        elif kind == "r":
            length, _, part = key[1:].partition("/")
            found.setdefault(length, set()).add(len(part))
    return {
        f"{_WIDTHS}{name}": ",".join(str(width) for width in (*sorted(widths, reverse=True), 0))
        for name, widths in found.items()
    }


def is_about_lengths(key: str) -> bool:
    """Whether this is the key of a row that says which lengths there are."""
    return bool(_LENGTHS.fullmatch(key))


def joined_widths(one: str, other: str) -> str:
    """The value of a row about lengths that has the lengths of both."""
    widths = {int(width) for each in (one, other) for width in each.split(",") if width}
    return ",".join(str(width) for width in sorted(widths, reverse=True))


def _param(rule: routes.Rule, source: str) -> str:
    return source if rule.is_route else f".{source}"


def _hand_down(rows: _Rows) -> None:
    """Let a piece of a range know the callers that a wider piece around it names.

    The longest piece decides, and two ranges that overlap differ in whom they name only: the
    one that names the caller wins, however long its pieces are.
    """
    for key, row in rows.items():
        head, slash, part = key.partition("/")
        if not slash or ANY not in row:
            continue
        for length in range(len(part) - 1, 0, -1):
            wider = rows.get(f"{head}/{part[:length]}", {})
            for source, name in wider.items():
                if source != ANY:
                    row.setdefault(source, name)


def _leave_out(rule: routes.Rule, rows: _Rows) -> None:
    """Say that a rule for anybody is none for the caller whom it would only lead back to."""
    parties = {hop.party for hop in rule.hops}
    if len(parties) == 1 and routes.PHONE not in parties:
        for key in _keys_of(rule.match):
            rows[key].setdefault(_param(rule, *parties), NOTHING)


def _join(params: Mapping[str, str]) -> str:
    return ";".join(f"{name}={params[name]}" for name in sorted(params))


def _target(hop: routes.Hop) -> str:
    codes = "|".join(map(str, hop.codes)) or NO_CODE
    params = {"to": hop.party, "on": REFUSED if hop.codes == routes.EVERY_REFUSAL else codes}
    if hop.ring_within is not None:
        params["ring"] = str(hop.ring_within)
    if hop.answer_within is not None:
        params["answer"] = str(hop.answer_within)
    if hop.may_return:
        params["back"] = "1"
    return _join(params)


# -- walk -------------------------------------------------------------------------------------


def decide(
    table: RouteTable, source: str, number: str, *, own: str = "", helping: str = ""
) -> Decision:
    """What the script decides for a call.

    Args:
        table: The rows Kamailio holds.
        source: The party that calls: ``teams``, ``phone`` or the name of a trunk.
        number: The user part of the request URI; a name is allowed.
        own: The way to the caller's own trunks, before every route but those for emergencies.
        helping: What stands before the name of these when the caller has trunks for such calls.
    """
    implied = ("", "")
    keys = () if number.lower().startswith(routes.TRANSFER) else _keys_for(number, table.route)
    for key in keys:
        if own and not key.startswith("e"):
            return _decision(table, source, own, own)
        row = _split(table.route.get(key, ""))
        name = row.get(source) or row.get(ANY, "")
        if name not in ("", NOTHING):
            name = helping + name if key.startswith("e") else name
            return _decision(table, source, name, key)
        name = row.get(f".{source}") or row.get(f".{ANY}", "")
        if not implied[0] and name not in ("", NOTHING):
            implied = (name, key)
    return _decision(table, source, *implied)


def _keys_for(number: str, rows: Mapping[str, str]) -> Iterator[str]:
    yield f"e{number}"
    yield from keys_below(number, rows)
    yield "*"


def keys_below(number: str, rows: Mapping[str, str]) -> Iterator[str]:
    """Of one number, ranges and prefixes: the keys to look at, the most precise first."""
    yield f"={number}"
    if _NUMBER.fullmatch(number):
        length = len(number)
        yield from (f"r{length}/{part}" for part in _beginnings(number, rows, str(length)))
    yield from (f"p{part}" for part in _beginnings(number, rows, "p"))


def _beginnings(number: str, rows: Mapping[str, str], name: str) -> Iterator[str]:
    listed = rows.get(f"{_WIDTHS}{name}", "")
    widths = (int(width) for width in listed.split(",") if width)
    yield from (number[:width] for width in widths if 0 < width <= len(number))


def _decision(table: RouteTable, source: str, name: str, key: str) -> Decision:
    steps = []
    place = 0
    while name and f"{name}/{place}" in table.target:
        row = _split(table.target[f"{name}/{place}"])
        place += 1
        party = row["to"]
        if party != source or party == routes.PHONE or "back" in row:
            steps.append(_step(row))
    return Decision(route=name, key=key, emergency=key.startswith("e"), steps=tuple(steps))


def _step(row: Mapping[str, str]) -> Step:
    known = {NO_CODE: (), REFUSED: routes.EVERY_REFUSAL}
    codes = known[row["on"]] if row["on"] in known else tuple(map(int, row["on"].split("|")))
    ring, answer = row.get("ring"), row.get("answer")
    return Step(
        party=row["to"],
        codes=codes,
        ring_within=int(ring) if ring else None,
        answer_within=int(answer) if answer else None,
    )


def _split(value: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in value.split(";") if part)
