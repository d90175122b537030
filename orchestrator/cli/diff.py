"""``sbcctl diff``: the files that serve, and those that would."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from orchestrator import errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator.apply import look
    from orchestrator.host import store


@click.command("diff")
@settings.site_argument
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when something differs.")
@click.pass_context
def command(ctx: click.Context, site: str, *, detailed_exitcode: bool) -> None:
    """Compare the engines' files that serve with those of SITE, line by line.

    Nothing is changed. Of files that hold secrets a keyed digest is shown.
    """
    from orchestrator.apply import look  # noqa: PLC0415
    from orchestrator.cli import placing  # noqa: PLC0415
    from orchestrator.site import load  # noqa: PLC0415

    options: settings.Settings = ctx.obj
    wanted, places = load.read_site(site)
    machine = placing.machine_for(options, wanted, os.environ)
    with placing.placed(places):
        told = look.look(wanted, machine)
    name = machine.store.current()
    served = machine.store.load(name) if name else None
    text = "".join(_lines(served, told))
    differs = detailed_exitcode and bool(told.files)
    code = errors.ExitCode.CHANGES_PENDING if differs else errors.ExitCode.DONE
    fields = {"from": name, "files": list(told.files), "diff": text}
    options.console().result("diff", text, fields, exit_code=code)
    ctx.exit(code)


def _lines(served: store.Stored | None, told: look.Look) -> Iterator[str]:
    """A unified diff of every file that is different; of secrets their keyed digests."""
    old = {file.path: file for file in served.generation.files} if served else {}
    new = {file.path: file for file in told.generation.files}
    for path in sorted(old.keys() | new.keys()):
        begin, end = old.get(path), new.get(path)
        if begin is not None and end is not None and begin.digest == end.digest:
            continue
        if path in told.digests:
            before, after = told.digests[path]
            yield f"--- {path} (serves)\n+++ {path} (site.yaml)\n"
            yield f"-{before or 'nothing'}\n+{after or 'nothing'}\n"
            continue
        yield from difflib.unified_diff(
            begin.text.splitlines(keepends=True) if begin else [],
            end.text.splitlines(keepends=True) if end else [],
            fromfile=f"{path} (serves)" if begin else "/dev/null",
            tofile=f"{path} (site.yaml)" if end else "/dev/null",
        )
