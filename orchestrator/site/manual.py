"""What there is to say about one field of site.yaml, read from the model.

Pure. A path is written as messages write it (``trunks.office.gateways[0].port``); names that the
operator chooses may be ``*``, and the index of a list may be left out.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from pydantic import IPvAnyAddress, IPvAnyNetwork
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orchestrator.site import callers, fields, model, part, samples, tenants

ANY = "*"
"""Stands in a path for a name that the operator chooses."""

_INCLUDE = ("tenants", tenants.INCLUDE)
_STEP = re.compile(r"[^.\[\]]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One field.

    Attributes:
        path: Where it stands, with ``*`` for names the operator chooses.
        kind: What it takes, in words: ``whole number, 5 to 300``.
        required: Whether it has no default.
        default: What it is when it is left out; empty when that is nothing.
        choices: The words it takes, when these are all.
        meaning: The sentence of the model.
        keys: The keys below it, with the sentence of each.
        example: Lines of site.yaml.
    """

    path: str
    kind: str
    required: bool
    default: str
    choices: tuple[str, ...]
    meaning: str
    keys: tuple[tuple[str, str], ...]
    example: str


def parse(text: str) -> tuple[str, ...] | None:
    """The path an operator wrote, with ``*`` for names of his own; None when there is no field."""
    if tuple(_STEP.findall(text)) == _INCLUDE:
        return _INCLUDE
    found: list[str] = []
    here: object = model.Site
    for step in _STEP.findall(text):
        here, passed = _entry_of_list(here, step)
        if passed:
            continue
        below = fields.type_at_key(here, step)
        if below is None:
            return None
        found.append(ANY if typing.get_origin(here) is dict else step)
        here = below
    return tuple(found) if found else None


def describe(path: tuple[str, ...]) -> Entry:
    """The field at *path* (of :func:`parse`)."""
    if path == _INCLUDE:
        return _described_include()
    below = _parts_below(path)
    keys = tuple((key, _sentence(field)) for key, field in below.items())
    choices: tuple[str, ...] = ()
    if path[-1] == ANY:
        kind, required, default, meaning = "mapping", False, "", _of_names(path)
    else:
        field = _field_at(path)
        kind, choices = _kind(field.annotation, tuple(field.metadata))
        required, default, meaning = field.is_required(), _default(field), _sentence(field)
    return Entry(
        path=".".join(path),
        kind=kind,
        required=required,
        default=default,
        choices=choices,
        meaning=meaning,
        keys=keys,
        example=_example(path),
    )


def _described_include() -> Entry:
    """The one key that the model does not know: it is gone before the model reads a site."""
    return Entry(
        path=".".join(_INCLUDE),
        kind="glob or list of globs",
        required=False,
        default="",
        choices=(),
        meaning=tenants.MEANING_OF_INCLUDE,
        keys=(),
        example="tenants:\n  include: tenants.d/*.yaml",
    )


def every_path() -> tuple[tuple[str, ...], ...]:
    """Every field of a site, parents before what is below them."""
    return tuple(_walk(model.Site, ()))


def near(text: str) -> tuple[str, ...]:
    """Paths that may be meant by *text*, which is none."""
    known = [".".join(path) for path in every_path()]
    last = text.rpartition(".")[2]
    same = [path for path in known if path.rpartition(".")[2] == last]
    return tuple(same or difflib.get_close_matches(text, known, n=3, cutoff=0.6))


# -- the model, walked ------------------------------------------------------------------------


def _entry_of_list(here: object, step: str) -> tuple[object, bool]:
    """Go from a list to its entries: by an index, which is passed, or without one."""
    if typing.get_origin(here) is not tuple:
        return here, False
    return fields.bare(typing.get_args(here)[0]), step.isdigit() or step == ANY


def _walk(here: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for key, below in _children(here):
        yield (*path, key)
        yield from _walk(below, (*path, key))


def _children(here: object) -> Iterator[tuple[str, object]]:
    if typing.get_origin(here) is tuple:
        here = fields.bare(typing.get_args(here)[0])
    if typing.get_origin(here) is dict:
        yield ANY, fields.bare(typing.get_args(here)[1])
    elif isinstance(here, type) and issubclass(here, part.Part):
        for key, field in model.fields_of(here).items():
            yield key, fields.bare(field.annotation)


def _type_of(path: tuple[str, ...]) -> object:
    here: object = model.Site
    for key in path:
        here = dict(_children(here))[key]
    return here


def _part_of(path: tuple[str, ...]) -> Mapping[str, FieldInfo]:
    here = _type_of(path)
    if typing.get_origin(here) is tuple:
        here = fields.bare(typing.get_args(here)[0])
    if isinstance(here, type) and issubclass(here, part.Part):
        return model.fields_of(here)
    return {}


def _field_at(path: tuple[str, ...]) -> FieldInfo:
    return _part_of(path[:-1])[path[-1]]


def _parts_below(path: tuple[str, ...]) -> Mapping[str, FieldInfo]:
    """The keys of what stands at *path*; for a mapping of names, of what each name has."""
    is_names = typing.get_origin(_type_of(path)) is dict
    return _part_of((*path, ANY)) if is_names else _part_of(path)


def _sentence(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _of_names(path: tuple[str, ...]) -> str:
    return f"One of {'.'.join(path[:-1])}, under a name of your own."


# -- in words ---------------------------------------------------------------------------------

_WORDS: Mapping[object, str] = MappingProxyType(
    {
        typing.get_args(alias)[1]: words
        for alias, words in (
            (model.Name, "name"),
            (model.Host, "host name or address"),
            (model.Fqdn, "full domain name"),
            (part.Number, "number"),
            (callers.E164, "number in E.164"),
            (callers.Prefix, "digits"),
            (model.SipUser, "SIP user"),
            (model.DigestUser, "user"),
            (model.Realm, "realm"),
            (model.PlainPath, "absolute path"),
            (tenants.Entry, "number or FIRST-LAST"),
        )
    }
)
"""What a text is, by the check of the model."""

_SHORT: Mapping[object, str] = MappingProxyType(
    {
        model.Gateway: "SIP URI or mapping",
        model.Target: "party or mapping",
        model.NumberRange: "FIRST-LAST",
        model.PortRange: "FIRST-LAST",
        model.Secret: "reference to a secret",
    }
)


def _unwrapped(annotation: object, metadata: tuple[object, ...]) -> tuple[object, list[object]]:
    """The type itself, and everything the model says about it on the way."""
    said = [*metadata]
    while True:
        arguments = typing.get_args(annotation)
        if typing.get_origin(annotation) is typing.Annotated:
            said += arguments[1:]
            annotation = arguments[0]
        elif type(None) in arguments:
            annotation = next(each for each in arguments if each is not type(None))
        else:
            break
    flat = [each.metadata if isinstance(each, FieldInfo) else [each] for each in said]
    return annotation, [each for some in flat for each in some]


def _kind(annotation: object, metadata: tuple[object, ...]) -> tuple[str, tuple[str, ...]]:
    """What a field takes, in words, and the words it takes when these are all."""
    here, said = _unwrapped(annotation, metadata)
    limits = _limits(said)
    arguments = typing.get_args(here)
    if typing.get_origin(here) is tuple:
        inner, choices = _kind(arguments[0], ())
        return f"list of {inner}{limits}", choices
    if typing.get_origin(here) is dict:
        return f"mapping of names{limits}", ()
    if typing.get_origin(here) is typing.Literal:
        return "fixed words", tuple(map(str, arguments))
    if isinstance(here, type) and issubclass(here, StrEnum):
        return "one word", tuple(map(str, here))
    return f"{_scalar(here, said)}{limits}", ()


def _scalar(here: object, said: list[object]) -> str:
    simple: dict[object, str] = {
        bool: "true or false",
        int: "whole number",
        IPvAnyAddress: "IP address",
        IPvAnyNetwork: "network",
    }
    if here in simple:
        return simple[here]
    if isinstance(here, type) and issubclass(here, part.Part):
        return _SHORT.get(here, "mapping")
    return next((_WORDS[each] for each in said if _is_known(each)), "text")


def _is_known(said: object) -> bool:
    try:
        return said in _WORDS
    except TypeError:  # what cannot be hashed is not one of ours
        return False


def _bound(said: list[object], name: str) -> int | None:
    """A limit among what a field says of its values: ``ge``, ``le``, ``min_length``..."""
    found = (getattr(each, name, None) for each in said)
    return next((bound for bound in found if isinstance(bound, int)), None)


def _limits(said: list[object]) -> str:
    """``, 5 to 300`` for a number, ``, 1 to 16 entries`` for a list."""
    low = _bound(said, "ge")
    high = _bound(said, "le")
    if low is not None and high is not None:
        return f", {low} to {high}"
    least = _bound(said, "min_length") or 0
    most = _bound(said, "max_length") or 0
    if most:
        return f", {least} to {most} entries"
    return ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined or value is None or value in ((), {}):
        return ""
    if isinstance(value, model.PortRange):
        return f"{value.first}-{value.last}"
    if isinstance(value, part.Part):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- examples ---------------------------------------------------------------------------------


_OF_TENANTS = f"tenants.{ANY}."
"""What a tenant has like the site itself looks alike: ``certificate.acme``."""


def value_of_example(path: tuple[str, ...]) -> str:
    """A value that the field at *path* takes, as it is written in site.yaml; may be empty."""
    text = ".".join(path)
    known = samples.BY_PATH.get(text) or samples.BY_PATH.get(text.removeprefix(_OF_TENANTS))
    known = known or samples.BY_NAME.get(path[-1], "")
    if known or path[-1] == ANY:
        return known
    field = _field_at(path)
    kind, choices = _kind(field.annotation, tuple(field.metadata))
    if choices:
        return next((each for each in choices if each != _default(field)), choices[0])
    return "true" if kind == "true or false" else _default(field)


def _example(path: tuple[str, ...]) -> str:
    """The field in its place: its parents, and what it needs below it."""
    lines: list[str] = []
    indent = ""
    for depth in range(len(path)):
        dash = "- " if typing.get_origin(_type_of(path[:depth])) is tuple else ""
        lines.append(f"{indent}{dash}{_named(path, depth)}:")
        indent += " " * (2 + len(dash))
    value = value_of_example(path)
    if value:
        lines[-1] += f" {value}"
    else:
        lines += [f"{indent}{line}" for line in _needed(path)]
    return "\n".join(lines)


def _needed(path: tuple[str, ...]) -> Iterator[str]:
    """What must stand below *path*, or the first keys that may."""
    if typing.get_origin(_type_of(path)) is dict:
        value = value_of_example((*path, ANY))
        yield f"{_named((*path, ANY), len(path))}: {value}".rstrip()
        if not value:
            yield from (f"  {line}" for line in _needed((*path, ANY)))
        return
    below = _part_of(path)
    wanted = [key for key, field in below.items() if field.is_required()] or list(below)[:1]
    for key in wanted:
        value = value_of_example((*path, key))
        yield f"{key}: {value}".rstrip()
        if not value:
            yield from (f"  {line}" for line in _needed((*path, key)))


def _named(path: tuple[str, ...], depth: int) -> str:
    """A key of an example; a name of the operator's own gets one that fits."""
    own = {"trunks": "office", "routes": "out", "users": "reception", "tenants": "acme"}
    return own[path[depth - 1]] if path[depth] == ANY else path[depth]
