"""How a plan reads: the same words for ``plan``, ``show`` and programs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from orchestrator import plan

if TYPE_CHECKING:
    from orchestrator import changes, errors
    from orchestrator.apply import look
    from orchestrator.site import tree

_RESTARTS = {
    plan.Kind.RESTART_KAMAILIO: "Kamailio",
    plan.Kind.RESTART_RTPENGINE: "RTPEngine",
}
_STARTS = {
    plan.Kind.START_KAMAILIO: "Kamailio starts",
    plan.Kind.START_RTPENGINE: "RTPEngine starts",
}
_RELOADED = {
    plan.Kind.RELOAD_TLS: "TLS",
    plan.Kind.RELOAD_ADDRESSES: "addresses",
    plan.Kind.RELOAD_TABLE: "tables",
    plan.Kind.RELOAD_DISPATCHER: "destinations",
    plan.Kind.RELOAD_REGISTRATIONS: "registrations",
}
_NEEDS = {
    plan.Kind.OBTAIN_CERTIFICATE: "a certificate (ACME): ",
    plan.Kind.INSTALL_CERTIFICATE: "the certificate that is installed: ",
}
_MECHANISMS = {
    **dict.fromkeys(_RELOADED, "rpc reload"),
    **dict.fromkeys((plan.Kind.RESTART_KAMAILIO, plan.Kind.RESTART_RTPENGINE), "restart"),
    **dict.fromkeys((plan.Kind.START_KAMAILIO, plan.Kind.START_RTPENGINE), "start"),
    plan.Kind.INSTALL_UNITS: "service reload",
}

_LONG, _SHOWN = 160, 5
"""Characters of a value before and after that are shown as they are; how much of a longer list."""
_MANY, _FIRST = 20, 5
"""Changes of one kind in a row that are shown one by one; how many of more than that."""
_BETWEEN = ", "
"""What stands between the parts of a list (``changes``)."""


def fields_of(told: look.Look, site: str, places: tree.SourceMap) -> dict[str, object]:
    """A plan as JSON values: what ``--out`` writes and ``show`` reads."""
    steps = [_step(step, told, places) for step in told.todo.steps]
    return {
        "site": site,
        "from": told.observed.committed[:12] or None,
        "to": told.generation.digest[:12] if told.known else None,
        "engines": {
            "kamailio": ".".join(map(str, told.facts.kamailio)),
            "rtpengine": ".".join(map(str, told.facts.rtpengine)),
        },
        "changes": [_change(change, places) for change in told.found],
        "steps": steps,
        "needs": [
            _NEEDS[step.kind] + step.reason for step in told.todo.steps if step.kind in _NEEDS
        ],
        "effect": _effect(told.todo),
        "files": list(told.files),
        "restarts": sum(step.kind.startswith("restart") for step in told.todo.steps),
    }


def step_as_json(step: plan.Step) -> dict[str, object]:
    """A step as every verb tells it to a program."""
    return {
        "kind": str(step.kind),
        "subject": step.subject,
        "reason": step.reason,
        "cost": step.cost,
    }


def _step(step: plan.Step, told: look.Look, places: tree.SourceMap) -> dict[str, object]:
    before, after = told.digests.get(step.path, ("", ""))
    return {
        **step_as_json(step),
        **({"secrets": {"before": before, "after": after}} if before != after else {}),
        "mechanism": _MECHANISMS.get(step.kind, "none"),
        "because": list(dict.fromkeys(_place(change, places) for change in _causes(step, told))),
    }


def _causes(step: plan.Step, told: look.Look) -> Iterable[changes.Change]:
    """The changes of site.yaml that made a step necessary."""
    if step.path:
        return told.causes.get(step.path, ())
    kinds = {
        plan.Kind.RESTART_KAMAILIO: "kamailio-restart",
        plan.Kind.RESTART_RTPENGINE: "rtpengine-restart",
        plan.Kind.INSTALL_UNITS: "unit-reload",
    }
    if step.kind not in kinds:
        return ()
    files = [file.path for file in told.generation.files if file.effect == kinds[step.kind]]
    return (change for path in files for change in told.causes.get(path, ()))


def _place(change: changes.Change, places: tree.SourceMap) -> str:
    """Where a change stands: ``site.yaml:12``; what is gone stands nowhere."""
    position = position_of(change, places)
    return f"{position.file}:{position.line}" if position else ".".join(map(str, change.path))


def position_of(change: changes.Change, places: tree.SourceMap) -> errors.Position | None:
    """Where a change stands in site.yaml; None for what is not there any more."""
    found, _ = places.find(change.path)
    if found != change.path:
        return None
    return places.key_position(change.path) or places.position(change.path)


def _change(change: changes.Change, places: tree.SourceMap) -> dict[str, object]:
    position = position_of(change, places)
    return {
        "sign": str(change.sign),
        "noun": change.noun,
        "name": change.name,
        "path": list(change.path),
        "file": position.file if position else None,
        "line": position.line if position else None,
        "column": position.column if position else None,
        "details": [
            {"field": each.field, "before": each.before, "after": each.after}
            for each in change.details
        ],
    }


def _effect(todo: plan.Plan) -> str:
    """What is reloaded or restarted, and what calls notice of it."""
    if not todo.steps:
        return "nothing is done"
    kinds = set(todo.kinds)
    parts = [words for kind, words in _STARTS.items() if kind in kinds]
    parts += [
        f"{_RESTARTS[step.kind]} restarts: {step.cost}"
        for step in todo.steps
        if step.kind in _RESTARTS
    ]
    read = [word for kind, word in _RELOADED.items() if kind in kinds]
    if read:
        parts.append(f"Kamailio reads {', '.join(read)} again")
    if not kinds & {plan.Kind.RESTART_KAMAILIO, plan.Kind.RESTART_RTPENGINE}:
        parts.append("no restart, calls are kept")
    return "; ".join(parts)


def text_of(told: Mapping[str, object]) -> str:
    """A plan as a human reads it, out of its JSON values."""
    engines = _mapping(told["engines"])
    begin, end = told["from"] or "nothing", told["to"] or "(named by the first apply)"
    versions = f"Kamailio {engines['kamailio']}, RTPEngine {engines['rtpengine']}"
    lines = [f"{told['site']}  generation {begin} -> {end}   {versions}"]
    steps, found = _mappings(told["steps"]), _mappings(told["changes"])
    for alike in _alike(found):
        for change in alike[:_FIRST] if len(alike) > _MANY else alike:
            lines += ["", *_change_lines(change)]
        if len(alike) > _MANY:
            lines += ["", _rest_line(alike)]
    if not steps:
        return "\n".join([*lines, "", "Nothing to do."])
    lines += ["", *(_step_line(step) for step in steps), ""]
    needs = told["needs"]
    lines += [f"Needs:   {need}" for need in (needs if isinstance(needs, list) else [])]
    files = told["files"]
    count = len(files) if isinstance(files, list) else 0
    lines += [f"Effect:  {told['effect']}", f"Files:   {count} changed", ""]
    return "\n".join([*lines, _count_line(found, told["restarts"])])


def _count_line(found: list[Mapping[str, object]], restarts: object) -> str:
    signs = [change["sign"] for change in found]
    added, changed, removed = (signs.count(sign) for sign in "+~-")
    ends = f"{restarts} restart{'' if restarts == 1 else 's'}."
    return f"Plan: {added} to add, {changed} to change, {removed} to remove. {ends}"


def _alike(found: list[Mapping[str, object]]) -> Iterator[list[Mapping[str, object]]]:
    """Changes that follow each other and are of one kind: customers of one file, say."""
    for _, alike in itertools.groupby(found, lambda change: (change["sign"], change["noun"])):
        yield list(alike)


def _rest_line(alike: list[Mapping[str, object]]) -> str:
    first, last = alike[_FIRST], alike[-1]
    what = f"{len(alike) - _FIRST:,} more {first['noun']}s, {first['name']} to {last['name']}"
    return f"  {first['sign']} {what} (--output json tells all)"


def _change_lines(change: Mapping[str, object]) -> list[str]:
    what = f"{change['noun']} {change['name']}".strip()
    where = f"{change['file']}:{change['line']}" if change["line"] else "(no longer in site.yaml)"
    lines = [f"  {change['sign']} {what:<34} {where}"]
    if change["sign"] == "-":
        return lines
    for detail in _mappings(change["details"]):
        lines += _detail_lines(
            str(detail["field"]), str(detail["before"] or ""), str(detail["after"] or "")
        )
    return lines


def _detail_lines(field: str, before: str, after: str) -> Iterator[str]:
    """A field, as it was and as it is; of a long list how many there are, what came and went."""
    sign = "~" if before and after else "+" if after else "-"
    if len(before) + len(after) <= _LONG:
        yield f"      {sign} {field:<28} {' -> '.join(filter(None, (before, after)))}"
        return
    old, new = (tuple(filter(None, text.split(_BETWEEN))) for text in (before, after))
    if sign != "~":
        yield f"      {sign} {field:<28} {_some(old or new)}"
        return
    kept = {*old} & {*new}
    came = tuple(each for each in new if each not in kept)
    went = tuple(each for each in old if each not in kept)
    same = "" if came or went else ", the same in another order"
    yield f"      ~ {field:<28} {len(old):,} -> {len(new):,}{same}"
    for moved, mark in ((came, "+"), (went, "-")):
        if moved:
            yield f"          {mark} {_some(moved)}"


def _some(several: tuple[str, ...]) -> str:
    """The first of them, none of them longer than a line, and how many more there are."""
    more = f" and {len(several) - _SHOWN:,} more" if len(several) > _SHOWN else ""
    shown = (each if len(each) <= _LONG else f"{each[:_LONG]}..." for each in several[:_SHOWN])
    return _BETWEEN.join(shown) + more


def _step_line(step: Mapping[str, object]) -> str:
    because = step["because"]
    why = f" ({', '.join(map(str, because[:4]))})" if isinstance(because, list) and because else ""
    held = _mapping(step.get("secrets"))
    moved = f" {held['before'] or 'nothing'} -> {held['after'] or 'nothing'}" if held else ""
    name = f"{step['kind']} {step['subject']}".strip()
    return f"  {name:<28} {step['reason']}{moved}{why}"


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, object]]:
    return [_mapping(each) for each in value] if isinstance(value, list) else []
