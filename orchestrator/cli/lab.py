"""``sbcctl lab``: Teams, a PBX, a phone and this SBC on one machine, in namespaces of their own.

``run``, ``up`` and ``soak`` call themselves again inside a sandbox; what is inside is recognised
by :func:`sandbox.inside` and does the work.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator import errors
from orchestrator.cli import lab_parts, lab_soak, settings

if TYPE_CHECKING:
    from orchestrator.lab import run as runs
    from orchestrator.lab import story

_CALL_TIMEOUT = 120.0
_DOWN_TIMEOUT = 15.0


@click.group("lab")
def command() -> None:
    """Try it all on this machine: Teams, a PBX, a phone, a CA and this SBC, without a tenant.

    Everything lives in network namespaces and in memory, and vanishes without a trace. Real
    Kamailio and RTPEngine serve; calls carry real SRTP.
    """


command.add_command(lab_soak.command)


@command.command("run")
@lab_parts.site_option
@click.option(
    "--only", multiple=True, metavar="NAME", help="Tell this story or family only; may repeat."
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("lab-report.html"),
    metavar="FILE",
    help="Where the HTML report goes (lab-report.html).",
)
@click.option("--keep", is_flag=True, help="Leave the lab up until Ctrl-C or `sbcctl lab down`.")
@click.pass_context
def run(
    ctx: click.Context, site: Path | None, only: tuple[str, ...], report_file: Path, *, keep: bool
) -> None:
    """Build the lab, apply the sites, tell every story, show what happened, and end it."""
    from orchestrator.host import sandbox  # noqa: PLC0415
    from orchestrator.lab import background, control, preflight  # noqa: PLC0415
    from orchestrator.lab import run as runs  # noqa: PLC0415

    options: settings.Settings = ctx.obj
    wanted = runs.find_scenarios(only, own_site=site is not None)
    if sandbox.inside():
        sandbox.enter()
        ctx.exit(_run_inside(options, site, wanted, report_file, keep=keep))
    preflight.check(options.engine_root)
    _check_writable(report_file)
    words = ["lab", "run", *lab_parts.site_words(site), "--report", str(report_file)]
    words += [word for scenario in wanted for word in ("--only", scenario.name)]
    argv, env = lab_parts.again(options, *words, *(["--keep"] if keep else []))
    if keep:
        listener = control.listen(_name())
        listener.set_inheritable(True)
        env[background.CONTROL] = str(listener.fileno())
    ctx.exit(sandbox.rerun(argv, env=env))


@command.command("up")
@lab_parts.site_option
@click.pass_context
def up(ctx: click.Context, site: Path | None) -> None:
    """Build the lab and apply the site; it stays until `sbcctl lab down`."""
    from orchestrator.host import sandbox  # noqa: PLC0415
    from orchestrator.lab import background, control, preflight  # noqa: PLC0415
    from orchestrator.lab import run as runs  # noqa: PLC0415

    options: settings.Settings = ctx.obj
    if sandbox.inside():
        sandbox.enter()
        voice = options.console()

        async def stay(lab: runs.Lab) -> None:
            voice.result(
                "lab-up",
                f"the lab is up on {lab.engines}\n"
                "next: sbcctl lab list, sbcctl lab call NAME, sbcctl lab down",
                {"engines": lab.engines},
            )
            background.say_ready(lab.world.logs / "lab.log")
            await _serve(lab)

        runs.open_lab(lab_parts.settings(options, site), voice, stay)
        return
    preflight.check(options.engine_root)
    argv, env = lab_parts.again(options, "lab", "up", *lab_parts.site_words(site))
    ctx.exit(background.start(argv, env, control.listen(_name())))


@command.command("call")
@click.argument("name", metavar="NAME")
@click.pass_context
def call(ctx: click.Context, name: str) -> None:
    """Tell one story in the lab that is up; `sbcctl lab list` shows their names."""
    from orchestrator.lab import control  # noqa: PLC0415
    from orchestrator.lab import run as runs  # noqa: PLC0415

    runs.find_scenarios((name,))
    said = control.ask(_name(), {"verb": "call", "name": name}, timeout=_CALL_TIMEOUT)
    fields = said.get("call")
    known = fields if isinstance(fields, dict) else {}
    code = errors.ExitCode.DONE if known.get("ok") else errors.ExitCode.FAILED
    ctx.obj.console().result(
        "lab-call", lab_parts.plain(str(said.get("text", ""))), known, exit_code=code
    )
    ctx.exit(code)


@command.command("down")
@click.pass_obj
def down(options: settings.Settings) -> None:
    """End the lab that is up; nothing of it is left."""
    from orchestrator.lab import control  # noqa: PLC0415

    control.ask(_name(), {"verb": "down"}, timeout=_DOWN_TIMEOUT)
    control.wait_until_gone(_name(), timeout=_DOWN_TIMEOUT)
    options.console().result("lab-down", "the lab is gone")


@command.command("list")
@click.pass_obj
def show_list(options: settings.Settings) -> None:
    """Show the stories the lab can tell, and the requirements each of them proves."""
    from orchestrator.lab import scenarios  # noqa: PLC0415

    known = scenarios.SCENARIOS
    families = {name: kind for kind, names in scenarios.by_family().items() for name in names}
    width = max(len(scenario.name) for scenario in known)
    options.console().result(
        "lab-list",
        "\n".join(f"{scenario.name:<{width}}  {scenario.title}" for scenario in known),
        {
            "calls": [
                {
                    "name": scenario.name,
                    "title": scenario.title,
                    "family": families[scenario.name],
                    "site": scenario.site,
                    "proves": list(scenario.proves),
                }
                for scenario in known
            ]
        },
    )


def _run_inside(
    options: settings.Settings,
    site: Path | None,
    wanted: tuple[story.Scenario, ...],
    report_file: Path,
    *,
    keep: bool,
) -> errors.ExitCode:
    """The work of ``run``, inside the sandbox."""
    from orchestrator.lab import report  # noqa: PLC0415
    from orchestrator.lab import run as runs  # noqa: PLC0415

    voice = options.console()
    began = time.monotonic()

    async def play(lab: runs.Lab) -> runs.Result:
        result = await runs.tell(lab, wanted)
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        _write_report(report_file, report.page(result, when=when))
        seconds = time.monotonic() - began
        voice.result(
            "lab-run",
            lab_parts.plain(
                f"{report.ladders(result.outcomes)}\n\n{report.table(result.outcomes)}\n\n"
                f"{report.sentence(result)}, in {seconds:.1f} s. Report: {report_file}"
            ),
            {**report.as_json(result), "report": str(report_file)},
            exit_code=_code_of(result),
        )
        if keep:
            voice.say("the lab stays up: sbcctl lab call NAME; Ctrl-C or sbcctl lab down ends it")
            await _serve(lab)
        return result

    result = runs.open_lab(lab_parts.settings(options, site), voice, play, site=wanted[0].site)
    return _code_of(result)


async def _serve(lab: runs.Lab) -> None:
    """Tell stories on request, one at a time, until somebody asks for the end."""
    from orchestrator.lab import background, control, report  # noqa: PLC0415
    from orchestrator.lab import run as runs  # noqa: PLC0415

    listener = background.take_control()
    if listener is None:
        raise errors.UsageError("this lab was not started by sbcctl lab")
    turn = asyncio.Lock()

    async def answer(question: control.Words) -> tuple[control.Words, bool]:
        if question.get("verb") == "down":
            return {}, True
        async with turn:
            (wanted,) = runs.find_scenarios((str(question.get("name")),))
            outcome = await lab.tell(wanted)
        text = f"{report.ladders((outcome,))}\n\n{report.table((outcome,))}"
        return {"text": text, "call": report.outcome_as_json(outcome)}, False

    await control.serve(listener, answer)


def _name() -> str:
    """The name of the lab that stays; only who wants several at once gives one."""
    return os.environ.get("SBCCTL_LAB", "")


def _check_writable(file: Path) -> None:
    """Find out now, and not after the calls, that the report cannot be written.

    Raises:
        HostError: The folder is missing or not ours to write to.
    """
    target = file if file.exists() else file.resolve().parent
    if not os.access(target, os.W_OK):
        raise errors.HostError(
            f"the report {file} cannot be written", hint="name another place: --report FILE"
        )


def _write_report(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise errors.HostError(
            f"the report {file} cannot be written: {error.strerror}",
            hint="name another place: --report FILE",
        ) from error


def _code_of(result: runs.Result) -> errors.ExitCode:
    return errors.ExitCode.DONE if result.ok else errors.ExitCode.FAILED
