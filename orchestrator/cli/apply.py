"""``sbcctl apply``: make this machine the SBC that site.yaml describes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from orchestrator import errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator import apply
    from orchestrator.site import model, tree


@click.command("apply")
@settings.site_argument
@settings.lock_timeout_option
@settings.allow_down_option
@settings.drain_option
@click.pass_obj
def command(
    options: settings.Settings,
    site: str,
    lock_timeout: float,
    allow_down: tuple[str, ...],
    drain: float | None,
) -> None:
    """Make this machine the SBC that SITE (a site.yaml, - for stdin, or a saved plan) describes.

    Obtains the certificate, starts or reloads the engines with the cheapest step that suffices,
    and reads back from them what they run. Run again, it does nothing. When a step fails, what
    served before is put back.
    """
    # Imported here: --help must not wait for pydantic, jinja2 and cryptography.
    from orchestrator import apply  # noqa: PLC0415
    from orchestrator.cli import placing, plan_file, plan_text  # noqa: PLC0415
    from orchestrator.site import load  # noqa: PLC0415

    began = time.monotonic()
    told = None if site == "-" else plan_file.read(site)
    wanted, places = load.read_site(site) if told is None else _asked(told, site)
    machine = placing.machine_for(options, wanted, os.environ)
    console = options.console()
    with placing.placed(places):
        outcome = apply.apply(
            wanted,
            machine,
            console,
            lock_timeout=lock_timeout,
            allow_down=_allowed(allow_down, wanted),
            drain_seconds=drain,
            promised=None if told is None else plan_file.as_saved(told),
        )
    for warning in outcome.warnings:
        console.say(f"warning: {warning}")
    with settings.told(outcome.generation):
        console.result(
            "apply",
            _sentence(wanted.site, outcome, time.monotonic() - began),
            {
                "site": wanted.site,
                "generation": outcome.generation,
                "changed": bool(outcome.steps),
                "steps": [plan_text.step_as_json(step) for step in outcome.steps],
                "warnings": list(outcome.warnings),
            },
        )


def _asked(told: Mapping[str, object], path: str) -> tuple[model.Site, tree.SourceMap]:
    """The site that a saved plan was made for."""
    from orchestrator.site import load  # noqa: PLC0415

    return load.read_text(json.dumps(told["asked"]).encode(), path)


def _allowed(names: tuple[str, ...], site: model.Site) -> frozenset[str]:
    """Who may be down; a name that nobody has is a typing mistake."""
    known = {*site.trunks, "teams"}
    if unknown := sorted(set(names) - known):
        raise errors.UsageError(
            f"--allow-down: there is no trunk {unknown[0]}",
            hint=f"there are {', '.join(sorted(known))}",
        )
    return frozenset(names)


def _sentence(site: str, outcome: apply.Outcome, seconds: float) -> str:
    """What a human reads at the end."""
    if not outcome.steps:
        return f"{site}: nothing to do, generation {outcome.generation} serves ({seconds:.1f} s)"
    restarts = [step for step in outcome.steps if step.kind.startswith("restart")]
    count = len(outcome.steps)
    done = f"{count} step{'s' if count != 1 else ''}, {len(restarts)} restarts"
    return f"{site}: generation {outcome.generation} serves ({done}, {seconds:.1f} s)"
