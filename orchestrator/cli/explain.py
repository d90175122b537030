"""``sbcctl explain``: what a field of site.yaml takes, or what the id of a problem means."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from orchestrator import errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator.site import manual, problem_kind

_WIDTH = 96


def _complete_what(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from orchestrator.site import manual, problems  # noqa: PLC0415 - help needs no model

    del ctx, param
    known = [*(".".join(path) for path in manual.every_path()), *problems.KINDS]
    return [each for each in known if each.startswith(incomplete)]


@click.command("explain")
@click.argument(
    "what", metavar="[FIELD.PATH | ERROR-ID]", default="", shell_complete=_complete_what
)
@click.pass_obj
def command(options: settings.Settings, what: str) -> None:
    """Say what a field of site.yaml is, such as trunks.*.gateways, or what an error id means.

    An error id is what stands in brackets in a message: error[unknown-key]. Without an argument
    everything is listed that can be explained.
    """
    from orchestrator.site import manual, problems  # noqa: PLC0415 - help needs no model

    voice = options.console()
    if not what:
        voice.result("explain", _list(), _list_fields())
        return
    kind = problems.KINDS.get(what)
    if kind is not None:
        voice.result("explain", _kind_text(what, kind), {"id": what, **kind._asdict()})
        return
    path = manual.parse(what)
    if path is None:
        raise errors.UsageError(f"there is nothing to explain called {what}", hint=_meant(what))
    entry = manual.describe(path)
    voice.result("explain", _entry_text(entry), _entry_fields(entry))


def _meant(what: str) -> str:
    from orchestrator.site import manual, problems  # noqa: PLC0415

    # An id is nearer than a path when it differs by a letter or two; paths are long.
    ids, paths = list(problems.KINDS), manual.near(what)
    near = [*difflib.get_close_matches(what, ids, n=1, cutoff=0.8)] or [*paths]
    near = near or difflib.get_close_matches(what, ids, n=1)
    return f"did you mean {' or '.join(near)}?" if near else "sbcctl explain lists what there is"


# -- for humans -------------------------------------------------------------------------------


def _kind_text(name: str, kind: problem_kind.Kind) -> str:
    lines = [f"error {name}", "", *_wrapped(kind.means, "  ")]
    lines += ["", *_labelled("why", kind.why), *_labelled("do", kind.do)]
    if kind.example:
        lines += ["", "  for example", "", *_indented(kind.example)]
    return "\n".join(lines)


def _entry_text(entry: manual.Entry) -> str:
    lines = [entry.path, "", *_wrapped(entry.meaning, "  "), "", f"  takes     {entry.kind}"]
    if entry.choices:
        lines.append(f"  one of    {', '.join(entry.choices)}")
    if entry.required:
        lines.append("  default   none, it is required")
    else:
        lines.append(f"  default   {entry.default or 'none'}")
    if entry.keys:
        width = max(len(key) for key, _ in entry.keys)
        lines += ["", "  keys", *(f"    {key:<{width}}  {said}" for key, said in entry.keys)]
    lines += ["", "  for example", "", *_indented(entry.example)]
    return "\n".join(line.rstrip() for line in lines)


def _list() -> str:
    from orchestrator.site import manual, problems  # noqa: PLC0415

    lines = ["Fields of site.yaml (a * is a name of your own):", ""]
    entries = [manual.describe(path) for path in manual.every_path() if path[-1] != manual.ANY]
    width = max(len(entry.path) for entry in entries)
    lines += [f"  {entry.path:<{width}}  {entry.meaning}".rstrip() for entry in entries]
    for about, kinds in problems.FLOORS.items():
        lines += ["", f"Problems with {about}:", "", *_wrapped(", ".join(kinds), "  ")]
    return "\n".join(lines)


def _wrapped(text: str, indent: str, begin: str | None = None) -> list[str]:
    begin = indent if begin is None else begin
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=begin,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _labelled(label: str, text: str) -> list[str]:
    return _wrapped(text, " " * 7, f"  {label:<5}")


def _indented(text: str) -> Iterable[str]:
    return (f"    {line}" for line in text.splitlines())


# -- for programs -----------------------------------------------------------------------------


def _entry_fields(entry: manual.Entry) -> dict[str, object]:
    return {
        "path": entry.path,
        "takes": entry.kind,
        "required": entry.required,
        "default": entry.default or None,
        "choices": list(entry.choices),
        "meaning": entry.meaning,
        "keys": dict(entry.keys),
        "example": entry.example,
    }


def _list_fields() -> dict[str, object]:
    from orchestrator.site import manual, problems  # noqa: PLC0415

    entries = [manual.describe(path) for path in manual.every_path()]
    return {
        "fields": [{"path": entry.path, "meaning": entry.meaning} for entry in entries],
        "problems": [{"id": name, "means": kind.means} for name, kind in problems.KINDS.items()],
    }
