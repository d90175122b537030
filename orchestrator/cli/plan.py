"""``sbcctl plan``: what an apply would do, and what calls would notice of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator import console, errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator.apply import look
    from orchestrator.site import tree


@click.command("plan")
@settings.site_argument
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the plan there; `sbcctl apply FILE` carries out exactly this.",
)
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 2 when there is something to do."
)
@click.pass_context
def command(ctx: click.Context, site: str, out: Path | None, *, detailed_exitcode: bool) -> None:
    """Show what an apply of SITE would do now, why, and what calls would notice.

    Nothing is changed. Drift is part of it: a file that somebody edited, a row that Kamailio lost,
    an engine that died.
    """
    # Imported here: --help must not wait for pydantic, jinja2 and cryptography.
    from orchestrator import changes  # noqa: PLC0415
    from orchestrator.apply import look  # noqa: PLC0415
    from orchestrator.cli import placing, plan_text  # noqa: PLC0415
    from orchestrator.site import load  # noqa: PLC0415

    options: settings.Settings = ctx.obj
    wanted, places = load.read_site(site)
    with placing.placed(places):
        told = look.look(wanted, placing.machine_for(options, wanted, os.environ))
    fields = plan_text.fields_of(told, wanted.site, places)
    pending = bool(told.todo.steps)
    code = (
        errors.ExitCode.CHANGES_PENDING if pending and detailed_exitcode else errors.ExitCode.DONE
    )
    voice = options.console()
    if out is not None:
        _write(out, {**fields, "asked": changes.as_tree(wanted)})
        voice.say(f"written to {out}; sbcctl apply {out} carries it out")
    if options.output is console.Output.GITHUB:
        _annotate(told, places)
    else:
        voice.result("plan", plan_text.text_of(fields), fields, exit_code=code)
    ctx.exit(code)


def _write(path: Path, fields: dict[str, object]) -> None:
    """Write a plan, over nothing but an older plan."""
    from orchestrator.cli import plan_file  # noqa: PLC0415
    from orchestrator.host import access, files  # noqa: PLC0415

    if (path.is_symlink() or path.exists()) and not _is_plan(path, plan_file.read):
        raise errors.HostError(
            f"{path} exists and is no saved plan, nothing was written", hint="name another file"
        )

    whole = {"format_version": console.FORMAT_VERSION, "kind": "plan", **fields}
    with files.translated(path, "write"):
        files.write(path, (json.dumps(whole, indent=1) + "\n").encode(), access.Access(0o600))


def _is_plan(path: Path, read: Callable[[str], object]) -> bool:
    """Whether a file is a plan, a damaged one included."""
    if not path.is_file() or path.is_symlink():
        return False
    try:
        return read(str(path)) is not None
    except errors.UsageError:
        return True


def _annotate(told: look.Look, places: tree.SourceMap) -> None:
    """One notice for each change, where it stands."""
    from orchestrator.cli import plan_text  # noqa: PLC0415

    for change in told.found:
        place = plan_text.position_of(change, places)
        where = f" file={place.file},line={place.line},col={place.column}" if place else ""
        click.echo(f"::notice{where}::{change.sign} {change.noun} {change.name}".rstrip())
