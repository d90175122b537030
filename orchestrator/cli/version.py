"""``sbcctl version``: what runs here."""

from __future__ import annotations

import platform

import click

from orchestrator import console
from orchestrator.cli import settings


@click.command("version")
@click.pass_obj
def command(options: settings.Settings) -> None:
    """Show the versions of sbcctl and of Python."""
    python = platform.python_version()
    options.console().result(
        "version", f"sbcctl {console.VERSION} (Python {python})", {"python": python}
    )
