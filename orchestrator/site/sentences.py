"""What the model refuses, in sentences of ours, each at the place an operator must look at.

pydantic says "Extra inputs are not permitted"; an operator needs "unknown key prot under
trunks.office", the column of that key, and that ``port`` was probably meant (facts/ux.md 2.3).
Positions: an unknown key -> the key; a missing key -> the first key of its parent; everything
else -> the value.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
from collections.abc import Callable, Iterable, Mapping

import pydantic
from pydantic_core import ErrorDetails

from orchestrator import errors
from orchestrator.site import fields as asked
from orchestrator.site import model, tree

_KEY_MARK = "[key]"
_SHOWN = 60


def shown(value: object) -> str:
    """A value of the file as it may be repeated in a message: quoted, and not too long."""
    text = str(value)
    return f'"{text}"' if len(text) <= _SHOWN else f'"{text[:_SHOWN]}..."'


def dotted(path: tree.Path) -> str:
    """A path as an operator reads it: ``trunks.office.gateways[0]``."""
    text = ""
    for key in path:
        part = str(key)[:_SHOWN]
        text += f"[{part}]" if isinstance(key, int) else f".{part}" if text else part
    return text


def problems_of(
    error: pydantic.ValidationError, places: tree.SourceMap, *, most: int
) -> tuple[errors.Problem, ...]:
    """Turn what pydantic found into Problems; beyond *most* only their places are told."""
    found = [
        (_place(detail, places), detail)
        for detail in error.errors(include_url=False)
        if not _follows_from_another(detail)
    ]
    found.sort(key=lambda pair: pair[0])
    problems = [_problem(detail, place, places) for place, detail in found[:most]]
    # The others cost only their place: it is load that says how many there are.
    problems += [errors.Problem("more", "more", position=place) for place, _ in found[most:]]
    return tuple(problems)


def place(
    problems: Iterable[errors.Problem], places: tree.SourceMap
) -> tuple[errors.Problem, ...]:
    """Fill in where the Problems of the rules stand: a value, or the key of a mapping."""
    return tuple(_placed(problem, places) for problem in problems)


def _placed(problem: errors.Problem, places: tree.SourceMap) -> errors.Problem:
    path, node = places.find(problem.path)
    where = places.key_position(path) if node.keys else None
    where = where or places.position(path)
    return dataclasses.replace(
        problem,
        position=where,
        hint=_with_alias(problem.hint, node),
        source=places.source_of(problem.path).line(where.line) if where else "",
    )


def _follows_from_another(detail: ErrorDetails) -> bool:
    """A list is "too short" when its only element was refused: that is told already."""
    given = detail["input"]
    least = detail.get("ctx", {}).get("min_length", 0)
    return detail["type"] == "too_short" and isinstance(given, list | dict) and len(given) >= least


def _path(detail: ErrorDetails) -> tree.Path:
    location = detail["loc"]
    return location[:-1] if location and location[-1] == _KEY_MARK else location


def _place(detail: ErrorDetails, places: tree.SourceMap) -> errors.Position:
    path = _path(detail)
    where: errors.Position | None
    if detail["type"] == "missing":
        where = places.first_key_position(places.find(path[:-1])[0])
    elif detail["type"] == "extra_forbidden" or path != detail["loc"]:
        where = places.key_position(path)
    else:
        where = None
    # A line of JSON has one place for all that is in it.
    where = where or places.position(places.find(path)[0])
    return where or errors.Position(places.source_of(path).file, 1, 1)


def _problem(
    detail: ErrorDetails, where: errors.Position, places: tree.SourceMap
) -> errors.Problem:
    path = _path(detail)
    kind, message, hint = _sentence(detail, path)
    return errors.Problem(
        kind,
        message,
        path=path,
        position=where,
        hint=_with_alias(hint, places.find(path)[1]),
        # A secret that was written out is not written once more.
        source="" if asked.is_in_secret(path) else places.source_of(path).line(where.line),
    )


def _with_alias(hint: str, node: tree.Node) -> str:
    if node.alias_of is None:
        return hint
    stands_for = f"the alias stands for line {node.alias_of + 1}"
    return f"{hint}; {stands_for}" if hint else stands_for


# -- the sentences ----------------------------------------------------------------------------

_Said = tuple[str, str, str]
"""id, message and hint of a Problem."""

_FORMS = {
    "email": "must be an e-mail address, such as ops@example.com",
    "directory": "must be a URL that begins with https://",
    "env": "must be the name of an environment variable, such as RECEPTION_PASSWORD",
    "credential": "must be the name of a systemd credential: letters, digits and . _ -",
    "kid": "must be the key identifier the CA gave: letters, digits and . _ ~ + / = : @ -",
    "profile": "must be the name of a profile, such as classic",
    "key_name": "must be the name of a TSIG key, such as sbc.example.com",
}
"""What a field with a pattern must be (a test compares this with the model)."""


def _sentence(detail: ErrorDetails, path: tree.Path) -> _Said:
    say = _SENTENCES.get(detail["type"])
    if say is not None:
        return say(detail, path)
    words = detail["msg"][:1].lower() + detail["msg"][1:]
    return "bad-value", f"{dotted(path)}: {words}", asked.meaning(path)


def _say_unknown_key(_detail: ErrorDetails, path: tree.Path) -> _Said:
    known = tuple(asked.fields_at(path[:-1]))
    key = str(path[-1])
    under = f"under {dotted(path[:-1])}" if path[:-1] else "at the top of the site"
    meant = difflib.get_close_matches(key.lower().replace("-", "_")[:_SHOWN], known, n=1)
    if meant:
        hint = f"did you mean {meant[0]}?"
    else:
        elsewhere = _HOMES.get(key)
        hint = f"{key} belongs under {elsewhere}" if elsewhere else f"known: {', '.join(known)}"
    return "unknown-key", f"unknown key {shown(key)} {under}", hint


def _say_missing(_detail: ErrorDetails, path: tree.Path) -> _Said:
    under = f"under {dotted(path[:-1])}" if path[:-1] else "at the top of the site"
    return "missing-key", f"required key {path[-1]} is missing {under}", asked.meaning(path)


def _say_part(detail: ErrorDetails, path: tree.Path) -> _Said:
    where = dotted(path) or "a site"
    if asked.type_at(path) is model.Secret:
        return (
            "secret-in-text",
            f"{where} is not written into the site, only where it is kept",
            "for example {env: NAME} or {file: /path}",
        )
    fields = asked.fields_at(path)
    needed = [name for name, field in fields.items() if field.is_required()] or list(fields)
    hint = f"it has the keys {', '.join(needed)}" if needed else "it maps names to their settings"
    if detail["input"] is None:
        return "empty", f"{where} is empty", hint
    return "wrong-type", f"{where} must be a mapping, not {_kind_of(detail['input'])}", hint


def _say_list(detail: ErrorDetails, path: tree.Path) -> _Said:
    given = detail["input"]
    if given is None:
        return "empty", f"{dotted(path)} is empty", asked.meaning(path)
    hint = (
        f"write [{shown(given)}]"
        if isinstance(given, str) and not asked.is_in_secret(path)
        else ""
    )
    return "wrong-type", f"{dotted(path)} must be a list, not {_kind_of(given)}", hint


def _say_text(detail: ErrorDetails, path: tree.Path) -> _Said:
    if detail["input"] is None:
        return "empty", f"{dotted(path)} is empty", asked.meaning(path)
    kind = _kind_of(detail["input"])
    return "wrong-type", f"{dotted(path)} must be text, not {kind}", asked.meaning(path)


def _say_too_short_text(_detail: ErrorDetails, path: tree.Path) -> _Said:
    return "empty", f"{dotted(path)} is empty", asked.meaning(path)


def _say_too_few(_detail: ErrorDetails, path: tree.Path) -> _Said:
    return "empty", f"{dotted(path)} needs at least one entry", asked.meaning(path)


def _say_too_many(detail: ErrorDetails, path: tree.Path) -> _Said:
    most = detail["ctx"]["max_length"]
    return "too-many", f"{dotted(path)} may have at most {most} entries", ""


def _say_number(detail: ErrorDetails, path: tree.Path) -> _Said:
    if isinstance(detail["input"], str):
        message = f"{dotted(path)} must be a whole number, not {shown(detail['input'])}"
        return "wrong-type", message, asked.meaning(path)
    if detail["input"] is None:
        return "empty", f"{dotted(path)} is empty", asked.meaning(path)
    kind = _kind_of(detail["input"])
    return "wrong-type", f"{dotted(path)} must be a whole number, not {kind}", asked.meaning(path)


def _say_switch(detail: ErrorDetails, path: tree.Path) -> _Said:
    if detail["input"] is None:
        return "empty", f"{dotted(path)} is empty", asked.meaning(path)
    message = f"{dotted(path)} must be yes or no, not {_brief(detail['input'])}"
    return "wrong-type", message, asked.meaning(path)


def _say_range(detail: ErrorDetails, path: tree.Path) -> _Said:
    context = detail["ctx"]
    bound = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
    message = f"{dotted(path)} must be {bound}, not {shown(detail['input'])}"
    return "out-of-range", message, asked.meaning(path)


def _say_choice(detail: ErrorDetails, path: tree.Path) -> _Said:
    given = detail["input"]
    expected: str = detail["ctx"]["expected"]
    choices = [word.strip(" '") for word in expected.replace(" or ", ", ").split(", ")]
    if given is None:
        return "empty", f"{dotted(path)} is empty", f"one of {', '.join(choices)}"
    if detail["type"] == "literal_error" and len(choices) == 1:
        word = expected.strip("'")
        said = "repeat the sentence" if " " in word else "be"
        return "not-a-choice", f'{dotted(path)} must {said} "{word}", not {_brief(given)}', ""
    meant = difflib.get_close_matches(str(given).lower()[:_SHOWN], choices, n=1)
    return (
        "not-a-choice",
        f"{dotted(path)} must be one of {', '.join(choices)}, not {_brief(given)}",
        f"did you mean {meant[0]}?" if meant else asked.meaning(path),
    )


def _say_form(detail: ErrorDetails, path: tree.Path) -> _Said:
    form = _FORMS.get(str(path[-1]), "does not have the form it needs")
    given = "" if asked.is_in_secret(path) else f", not {_brief(detail['input'])}"
    return "bad-value", f"{dotted(path)} {form}{given}", asked.meaning(path)


def _say_address(detail: ErrorDetails, path: tree.Path) -> _Said:
    if detail["input"] is None:
        return "empty", f"{dotted(path)} is empty", asked.meaning(path)
    message = f"{dotted(path)} must be an IP address, not {_brief(detail['input'])}"
    return "bad-address", message, asked.meaning(path)


def _say_network(detail: ErrorDetails, path: tree.Path) -> _Said:
    given = detail["input"]
    message = f"{dotted(path)} must be a network, not {_brief(given)}"
    try:
        meant = ipaddress.ip_network(str(given), strict=False)
    except ValueError:
        return "bad-address", message, "for example 198.51.100.0/24"
    return "bad-address", message, f"did you mean {meant}?"


def _say_own_words(detail: ErrorDetails, path: tree.Path) -> _Said:
    """The model's validators raise ValueError with the sentence for the operator."""
    words = str(detail["ctx"]["error"])
    given = detail["input"]
    if isinstance(given, str) and not asked.is_in_secret(path):
        words = f"{words}, not {shown(given)}"
    return "bad-value", f"{dotted(path)}: {words}", ""


def _kind_of(value: object) -> str:
    names = {list: "a list", dict: "a mapping", type(None): "empty"}
    return names.get(type(value), "text")


def _brief(value: object) -> str:
    return shown(value) if isinstance(value, str) else _kind_of(value)


_SENTENCES: Mapping[str, Callable[[ErrorDetails, tree.Path], _Said]] = {
    "extra_forbidden": _say_unknown_key,
    "missing": _say_missing,
    "model_type": _say_part,
    "dict_type": _say_part,
    "tuple_type": _say_list,
    "string_type": _say_text,
    "string_too_short": _say_too_short_text,
    "too_short": _say_too_few,
    "too_long": _say_too_many,
    "bool_type": _say_switch,
    "bool_parsing": _say_switch,
    "int_type": _say_number,
    "int_parsing": _say_number,
    "int_parsing_size": _say_number,
    "int_from_float": _say_number,
    "greater_than_equal": _say_range,
    "less_than_equal": _say_range,
    "enum": _say_choice,
    "literal_error": _say_choice,
    "string_pattern_mismatch": _say_form,
    "ip_any_address": _say_address,
    "ip_any_network": _say_network,
    "value_error": _say_own_words,
}


def _homes_of_keys() -> dict[str, str]:
    """Keys that stand in exactly one of the fixed parts, and which: ``sip_port`` in ``node``."""
    homes: dict[str, list[str]] = {}
    for home in model.Site.model_fields:
        for key in asked.fields_at((home,)):
            homes.setdefault(key, []).append(home)
    return {key: parts[0] for key, parts in homes.items() if len(parts) == 1}


_HOMES = _homes_of_keys()
