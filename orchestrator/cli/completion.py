"""``sbcctl completion``: let a shell complete verbs, options and what explain knows."""

from __future__ import annotations

import click
from click import shell_completion

from orchestrator.cli import settings

SHELLS = ("bash", "zsh", "fish")
"""The shells click writes a script for."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete sbcctl.

    For bash: sbcctl completion bash > /etc/bash_completion.d/sbcctl
    """
    options = settings.settings_of(context)
    root = context.find_root()
    generator = shell_completion.get_completion_class(shell)
    assert generator is not None, "click knows every shell of SHELLS"
    script = generator(root.command, {}, "sbcctl", settings.COMPLETE_VARIABLE).source()
    options.console().result("completion", script, {"shell": shell, "script": script})
