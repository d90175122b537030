"""``sbcctl rollback``: make the generation that served before serve again."""

from __future__ import annotations

import os
import time

import click

from orchestrator.cli import settings


@click.command("rollback")
@click.argument("generation", metavar="[GENERATION]", required=False)
@settings.lock_timeout_option
@settings.allow_down_option
@settings.drain_option
@click.pass_obj
def command(
    options: settings.Settings,
    generation: str | None,
    lock_timeout: float,
    allow_down: tuple[str, ...],
    drain: float | None,
) -> None:
    """Make an earlier GENERATION serve again; by default the one that served before.

    `sbcctl history` lists them. It is checked, carried out and read back like an apply, and
    undone like one when a step fails. site.yaml is not touched: the next apply of it goes
    forward again.
    """
    # Imported here: --help must not wait for pydantic, jinja2 and cryptography.
    from orchestrator import observe  # noqa: PLC0415
    from orchestrator.apply import rollback  # noqa: PLC0415
    from orchestrator.cli import plan_text  # noqa: PLC0415
    from orchestrator.render import views  # noqa: PLC0415

    began = time.monotonic()
    machine = observe.Machine(
        paths=views.Paths(state=options.state_dir, run=options.run_dir),
        engine_root=options.engine_root,
        env=os.environ,
    )
    console = options.console()
    outcome = rollback.rollback(
        machine,
        console,
        generation,
        lock_timeout=lock_timeout,
        allow_down=frozenset(allow_down),
        drain_seconds=drain,
    )
    for warning in outcome.warnings:
        console.say(f"warning: {warning}")
    count = len(outcome.steps)
    done = f"{count} step{'s' if count != 1 else ''}" if count else "nothing to do"
    with settings.told(outcome.generation):
        console.result(
            "rollback",
            f"generation {outcome.generation} serves ({done}, {time.monotonic() - began:.1f} s)",
            {
                "generation": outcome.generation,
                "changed": bool(outcome.steps),
                "steps": [plan_text.step_as_json(step) for step in outcome.steps],
                "warnings": list(outcome.warnings),
            },
        )
