"""``sbcctl init``: a site.yaml to begin with, written from the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator import console, errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator.site import preset as presets

PRESETS = ("single", "hosting", "lab")
"""What ``site/preset.py`` knows, written here so that help imports no model (a test compares)."""


@click.command("init")
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="single",
    show_default=True,
    help="One company, several customers, or the world of `sbcctl lab`.",
)
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    default=settings.DEFAULT_SITE,
    show_default=True,
    help="Where to write it; - is standard output.",
)
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@click.pass_obj
def command(options: settings.Settings, preset: str, out: str, *, force: bool) -> None:
    """Write a commented site.yaml in which what you have to fill in is marked."""
    from orchestrator.site import preset as presets  # noqa: PLC0415 - help needs no model

    text, missing = presets.write(preset), presets.to_fill_in(preset)
    if out == "-":
        said = text
    else:
        _write(Path(out), text, force=force)
        said = "" if options.quiet else _said(out, preset, presets.MARK, missing)
    options.console().result(
        "init",
        said,
        {
            "preset": preset,
            "file": None if out == "-" else out,
            "text": text,
            "fill_in": [{"path": each.path, "placeholder": each.value} for each in missing],
        },
    )


def _said(out: str, preset: str, mark: str, missing: tuple[presets.Placeholder, ...]) -> str:
    count = f'{len(missing)} values are marked "{mark}"' if missing else "nothing to fill in"
    width = max((len(each.path) for each in missing), default=0)
    rows = [f"  {each.path:<{width}}  {each.value}" for each in missing]
    check = "sbcctl validate" if out == settings.DEFAULT_SITE else f"sbcctl validate {out}"
    return "\n".join([f"{out}: preset {preset}, {count}", *rows, f"next: {check}"])


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write the whole file or nothing.

    Raises:
        errors.UsageError: The file has the name of an output, and was hardly meant.
        errors.HostError: It exists, or cannot be written.
    """
    from orchestrator.host import access, files  # noqa: PLC0415 - help needs no host

    if path.name in list(console.Output):
        raise errors.UsageError(
            f"-o names the file to write here, and {path.name} is an output",
            hint=f"write --output {path.name}, or -o ./{path.name}.yaml for a file",
        )
    try:
        if os.path.lexists(path) and not force:
            raise errors.HostError(
                f"{path} exists, nothing was written",
                hint="write another file with -o FILE, or replace this one with --force",
            )
        files.write(path, text.encode(), access.Access(mode=0o644))
    except OSError as error:
        raise errors.HostError(
            f"{path} cannot be written: {error.strerror}",
            hint="name a file in a directory that you may write to",
        ) from error
