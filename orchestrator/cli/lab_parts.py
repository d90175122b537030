"""What the verbs of ``sbcctl lab`` have in common: the site, the sandbox, plain words."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator import console
from orchestrator.cli import settings as own_settings

if TYPE_CHECKING:
    from orchestrator.lab import run as runs

site_option = click.option(
    "--site",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    metavar="FILE",
    help="The site.yaml to apply, instead of the examples the stories need.",
)
"""The option ``--site`` of every verb that builds a lab."""


def settings(options: own_settings.Settings, site: Path | None) -> runs.Settings:
    """What the lab is made of."""
    from orchestrator.lab import run as runs  # noqa: PLC0415

    return runs.Settings(_examples(), site.resolve() if site else None, options.engine_root)


def site_words(site: Path | None) -> tuple[str, ...]:
    """The option that names the operator's own site."""
    return ("--site", str(site)) if site else ()


def again(options: own_settings.Settings, *words: str) -> tuple[list[str], dict[str, str]]:
    """The command line that does the same inside the sandbox, and its environment."""
    from orchestrator.lab import command  # noqa: PLC0415

    argv = [*command.ARGV, "--output", options.output, "--color", options.color]
    argv += ["--engine-root", options.engine_root] if options.engine_root else []
    argv += ["--quiet"] * options.quiet
    argv += ["--debug"] * options.debug
    return [*argv, *words], command.environment()


def plain(text: str) -> str:
    """What was on the wire must not drive the reader's terminal."""
    return "\n".join(console.visible(line) for line in text.split("\n"))


def _examples() -> Path:
    """The folder of the sites the lab is made for: inside the wheel, or the repository's."""
    packaged = Path(str(resources.files("orchestrator")), "examples")
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "examples"
