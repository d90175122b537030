"""What is different between two sites, in the operator's words: pure.

1. Trunks, phones and routes are told by their names; everything else by the part it stands in.
2. A field that is written out with its default is no change: what counts is what it means.
3. Secrets are references in a Site, and only these are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from orchestrator.render import generation as generations
from orchestrator.render import hosting, wanted
from orchestrator.site import model

Path: TypeAlias = "tuple[str | int, ...]"
_Tree: TypeAlias = "Mapping[str, object]"

MOST_CAUSES = 32
"""Changes whose effect on the files is found out one by one; each costs a rendering."""

_NAMED: tuple[tuple[Path, str], ...] = (
    (("trunks",), "trunk"),
    (("phones", "users"), "phone"),
    (("routes",), "route"),
    (("tenants",), "tenant"),
)


class Sign(StrEnum):
    """What happened to a thing."""

    ADDED = "+"
    CHANGED = "~"
    REMOVED = "-"


@dataclass(frozen=True, slots=True)
class Detail:
    """One field of a thing; an empty text stands for a field that is not set."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different.

    Attributes:
        sign: Added, changed or removed.
        noun: What it is: trunk, phone, route, or a part of site.yaml such as media.
        name: Its name; empty for a part.
        path: Where it stands in site.yaml.
        details: What is different in it, in the order of site.yaml.
    """

    sign: Sign
    noun: str
    name: str
    path: Path
    details: tuple[Detail, ...]


def as_tree(site: model.Site, *, whole: bool = False) -> dict[str, object]:
    """A site as JSON values; without what is as by default, unless *whole*."""
    return site.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude_defaults=not whole
    )


def as_json(site: model.Site) -> str:
    """The same as text, in a fraction of the time; without what is as by default."""
    return site.model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True)


def find_changes(before: model.Site | None, after: model.Site) -> tuple[Change, ...]:
    """Every thing that is different, parts first, then what has a name."""
    old = as_tree(before, whole=True) if before is not None else {}
    new = as_tree(after, whole=before is not None)
    found = list(_parts(old, new))
    for path, noun in _NAMED:
        ours, theirs = _below(old, path), _below(new, path)
        for name in sorted({*ours, *theirs}):
            found += _change(noun, name, (*path, name), ours.get(name), theirs.get(name))
    return tuple(found)


def find_causes(
    changes: Iterable[Change],
    before: model.Site,
    after: model.Site,
    render: Callable[[model.Site], generations.Generation],
) -> dict[str, tuple[Change, ...]]:
    """Which changes are why a file is different: the new site is rendered without each of them.

    A change without which there is no sound site, and those beyond :data:`MOST_CAUSES`, are left
    out; no file is blamed on them.

    Returns:
        Changes by the path of the rendered file.
    """
    plain = [each for each in changes if _is_rows_only(each, before, after)]
    causes = dict.fromkeys(wanted.OF_TENANTS, tuple(plain)) if plain else {}
    others = [each for each in changes if each not in plain][:MOST_CAUSES]
    whole = {file.path: file.digest for file in render(after).files} if others else {}
    for change in others:
        undone = _without(change, before, after)
        if undone is None:
            continue
        other = {file.path: file.digest for file in render(undone).files}
        for path in whole.keys() | other.keys():
            if whole.get(path) != other.get(path):
                causes[path] = (*causes.get(path, ()), change)
    return causes


def _is_rows_only(change: Change, before: model.Site, after: model.Site) -> bool:
    """Whether a change of a tenant is nothing but rows of the tables that know tenants.

    These are known without rendering, which would take longest for those who have most of them.
    """
    if change.noun != "tenant" or hosting.domains(before) != hosting.domains(after):
        return False
    old, new = before.tenants.get(change.name), after.tenants.get(change.name)
    return _ways_of(old) == _ways_of(new)


def _ways_of(tenant: model.Tenant | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lists of trunks that other tables know."""
    if tenant is None:
        return (), ()
    return tenant.trunks, tenant.emergency.trunks if tenant.emergency else ()


def _without(change: Change, before: model.Site, after: model.Site) -> model.Site | None:
    """The new site with one thing as it was; None when that is no site."""
    tree = as_tree(after)
    here = tree
    for key in change.path[:-1]:
        below = here.setdefault(str(key), {})
        if not isinstance(below, dict):
            return None
        here = below
    last = str(change.path[-1])
    old = _below(as_tree(before), change.path[:-1]).get(last)
    if old is None:
        here.pop(last, None)
    else:
        here[last] = old
    try:
        return model.Site.model_validate(tree)
    except ValueError:
        return None


def _parts(old: _Tree, new: _Tree) -> Iterable[Change]:
    """What is different outside of trunks, phones and routes."""
    for part in dict.fromkeys((*model.Site.model_fields, *old, *new)):
        if (part,) in (path for path, _ in _NAMED):
            continue
        ours, theirs = old.get(part), new.get(part)
        if part == "phones":
            ours, theirs = _unnamed(ours), _unnamed(theirs)
        yield from _change(part, "", (part,), ours, theirs)


def _unnamed(phones: object) -> object:
    if not isinstance(phones, Mapping):
        return phones
    return {key: value for key, value in phones.items() if key != "users"} or None


def _change(noun: str, name: str, path: Path, old: object, new: object) -> list[Change]:
    if old == new:
        return []
    sign = Sign.ADDED if old is None else Sign.REMOVED if new is None else Sign.CHANGED
    ours, theirs = dict(_leaves(old)), dict(_leaves(new))
    details = tuple(
        Detail(field, ours.get(field, ""), theirs.get(field, ""))
        for field in dict.fromkeys((*theirs, *ours))
        if ours.get(field, "") != theirs.get(field, "")
    )
    return [Change(sign, noun, name, path, details)]


def _leaves(value: object, field: str = "") -> Iterable[tuple[str, str]]:
    """Fields and their texts; lists are one field."""
    if value is None:
        return
    if isinstance(value, Mapping) and "host" not in value:
        for key, below in value.items():
            yield from _leaves(below, f"{field}.{key}" if field else str(key))
    else:
        yield field, _text(value)


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        if "host" in value:
            transport, port = value.get("transport", "udp"), value.get("port", 5060)
            return f"sip:{value['host']}:{port};transport={transport}"
        return ", ".join(f"{key}: {_text(below)}" for key, below in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(each) for each in value)
    return str(value)


def _below(tree: _Tree, path: Path) -> dict[str, object]:
    """What stands at a path, when it is a mapping; else nothing."""
    here: object = tree
    for key in path:
        here = here.get(str(key)) if isinstance(here, Mapping) else None
    return dict(here) if isinstance(here, Mapping) else {}
