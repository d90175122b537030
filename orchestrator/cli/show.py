"""``sbcctl show``: a plan that was written down, once more."""

from __future__ import annotations

import click

from orchestrator import errors
from orchestrator.cli import settings


@click.command("show")
@click.argument("plan", metavar="PLAN")
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 2 when the plan has something to do."
)
@click.pass_context
def command(ctx: click.Context, plan: str, *, detailed_exitcode: bool) -> None:
    """Show the PLAN that `sbcctl plan --out` wrote. Nothing else is read."""
    from orchestrator.cli import plan_file, plan_text  # noqa: PLC0415

    options: settings.Settings = ctx.obj
    told = plan_file.read(plan)
    if told is None:
        raise errors.UsageError(
            f"{plan} is no plan", hint="sbcctl plan SITE --out FILE writes one"
        )
    code = (
        errors.ExitCode.CHANGES_PENDING
        if told["steps"] and detailed_exitcode
        else errors.ExitCode.DONE
    )
    fields = {
        key: value for key, value in told.items() if key not in ("kind", "format_version", "asked")
    }
    options.console().result("plan", plan_text.text_of(fields), fields, exit_code=code)
    ctx.exit(code)
