"""``sbcctl init``: a site.yaml to begin with, written from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli import output_file, settings

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
        hint = "write another file with -o FILE, or replace this one with --force"
        output_file.write(out, text, replaces=lambda _: force, hint=hint)
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
