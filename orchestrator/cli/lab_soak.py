"""``sbcctl lab soak``: very many calls, and whether they leave anything behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator import errors
from orchestrator.cli import lab_parts, settings

if TYPE_CHECKING:
    from orchestrator.lab import run as runs
    from orchestrator.lab import soak_result

_HOUR = 3600.0


@click.command("soak")
@lab_parts.site_option
@click.option(
    "--calls", type=click.IntRange(1, 1_000_000), default=1000, help="How many calls (1000)."
)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 100.0),
    default=10.0,
    help="Calls begun in a second (10).",
)
@click.option(
    "--warm-up",
    type=click.IntRange(0, 100_000),
    default=200,
    help="Calls before the engines are looked at first (200); 0 judges no memory.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1.0, 86_400.0),
    default=_HOUR,
    help="Begin no more calls after this time (3600).",
)
@click.option(
    "--hour", is_flag=True, help="First a call of 61 minutes each way, 25 times as fast."
)
@click.pass_context
def command(
    ctx: click.Context,
    site: Path | None,
    *,
    calls: int,
    rate: float,
    warm_up: int,
    seconds: float,
    hour: bool,
) -> None:
    """Place very many calls of every kind at a steady rate, and see what they leave behind.

    What the engines hold (transactions, connections, memory, table rows, ports, open files) is
    compared before and after. Ctrl-C begins no more calls and tells how it went so far.
    """
    from orchestrator.host import sandbox  # noqa: PLC0415
    from orchestrator.lab import preflight, soak_result  # noqa: PLC0415

    options: settings.Settings = ctx.obj
    if sandbox.inside():
        sandbox.enter()
        ctx.exit(
            _inside(options, site, soak_result.Plan(calls, rate, seconds, warm_up, hour=hour))
        )
    preflight.check(options.engine_root)
    numbers = {"--calls": calls, "--rate": rate, "--warm-up": warm_up, "--seconds": seconds}
    words = [word for name, value in numbers.items() for word in (name, str(value))]
    words += ["--hour"] if hour else []
    argv, env = lab_parts.again(options, "lab", "soak", *lab_parts.site_words(site), *words)
    ctx.exit(sandbox.rerun(argv, env=env))


def _inside(
    options: settings.Settings, site: Path | None, plan: soak_result.Plan
) -> errors.ExitCode:
    """The work, inside the sandbox."""
    from orchestrator.lab import run as runs  # noqa: PLC0415
    from orchestrator.lab import soak, soak_calls, soak_report  # noqa: PLC0415

    voice = options.console()

    async def play(lab: runs.Lab) -> soak_result.Result:
        return await soak.Soak(lab, plan, voice.say).play()

    result = runs.open_lab(lab_parts.settings(options, site), voice, play, site=soak_calls.SITE)
    code = errors.ExitCode.DONE if result.ok else errors.ExitCode.FAILED
    if result.stopped == soak.INTERRUPTED:
        code = errors.ExitCode.INTERRUPTED
    voice.result(
        "lab-soak",
        lab_parts.plain(soak_report.text(result)),
        soak_report.as_json(result),
        exit_code=code,
    )
    return code
