"""``sbcctl schema``: what site.yaml may say, for editors and CI."""

from __future__ import annotations

import json
from pathlib import Path

import click

from orchestrator.cli import output_file, settings


@click.command("schema")
@click.option("--out", metavar="FILE", help="Write it to this file instead of standard output.")
@click.pass_obj
def command(options: settings.Settings, out: str | None) -> None:
    """Print the JSON Schema (draft 7) of site.yaml.

    A site.yaml of `sbcctl init` names it in its first line, as ./site.schema.json.
    """
    from orchestrator.site import schema  # noqa: PLC0415 - help needs no model

    made = schema.schema()
    text = json.dumps(made, indent=2) + "\n"
    said = text
    if out is not None and out != "-":
        hint = "it is no JSON, so it is no older schema; name another file"
        output_file.write(out, text, replaces=_is_json, hint=hint)
        said = "" if options.quiet else f"{out}: JSON Schema (draft 7) of site.yaml"
    options.console().result("schema", said, {"file": out, "schema": made})


def _is_json(path: Path) -> bool:
    """An older schema is replaced; a site.yaml that was named by mistake is not."""
    with path.open("rb") as file:
        return file.read(1) == b"{"
