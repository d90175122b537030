"""``sbcctl render``: the files alone. No engine is asked and no secret is read."""

from __future__ import annotations

import os
from pathlib import Path

import click

from orchestrator import errors
from orchestrator.cli import settings
from orchestrator.render import accounts, generation, views
from orchestrator.site import load

GENERATIONS = {"debian12": views.DEBIAN_12, "debian13": views.DEBIAN_13}
"""Engines to render for; ``apply`` asks the engines themselves."""


@click.command("render")
@settings.site_argument
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="An empty or new directory for the files.",
)
@click.option(
    "--engines",
    type=click.Choice(list(GENERATIONS)),
    default="debian13",
    show_default=True,
    help="The engines that will read the files.",
)
@click.pass_obj
def command(options: settings.Settings, site: str, out: Path, engines: str) -> None:
    """Write what the engines would read for the file SITE (- is standard input) to a directory.

    Nothing of this machine is looked at: every secret is the word "unresolved", which opens
    nothing.
    """
    wanted, _ = load.read_site(site)
    rendered = generation.render_site(
        wanted,
        facts=GENERATIONS[engines],
        paths=views.Paths(state=options.state_dir, run=options.run_dir),
        secrets=views.Secrets(contact_key=accounts.UNRESOLVED, phones={}),
    )
    _write(rendered, out)
    options.console().result(
        "render",
        "" if options.quiet else f"{out}: {len(rendered.files)} files for {engines}",
        {
            "digest": rendered.digest,
            "engines": engines,
            "files": [{"path": file.path, "sha256": file.digest} for file in rendered.files],
        },
    )


def _write(rendered: generation.Generation, out: Path) -> None:
    try:
        if out.exists() and any(out.iterdir()):
            raise errors.HostError(
                f"{out} is not empty", hint="name an empty or new directory; nothing was written"
            )
        for file in rendered.files:
            target = out / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            mode = 0o600 if file.secret else 0o644
            with os.fdopen(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_EXCL, mode), "w") as f:
                f.write(file.text)
    except OSError as error:
        raise errors.HostError(
            f"{error.filename or out} cannot be written: {error.strerror}",
            hint="name a directory that you may write to",
        ) from error
