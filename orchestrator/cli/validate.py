"""``sbcctl validate``: is this a site, and how far would it get? Nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

import click

from orchestrator import console, errors
from orchestrator.cli import settings
from orchestrator.site import load, model, preset, rules, sentences, tenants

if TYPE_CHECKING:
    from orchestrator.site import tree


class Level(StrEnum):
    """How much is asked; each level asks what those before it ask as well."""

    SCHEMA = "schema"
    RENDER = "render"
    ENGINE = "engine"
    LIVE = "live"


_ANSWERS = "whether Teams and trunks answer"
_ASKS: Mapping[Level, tuple[str, ...]] = {
    Level.SCHEMA: (),
    Level.RENDER: ("what the engines would read",),
    Level.ENGINE: ("the engines' own check", "files and secrets on this machine"),
    Level.LIVE: ("addresses and ports", "the certificate", _ANSWERS),
}
"""What each level adds; nobody but ``doctor`` looks at DNS."""


def not_checked(level: Level, *, asked: bool = True) -> tuple[str, ...]:
    """What a level leaves open, in the order in which the next ones ask it.

    Without a Kamailio that runs nobody can be *asked* whether he answers.
    """
    levels = list(Level)
    later = levels[levels.index(level) + 1 :]
    left = [what for each in later for what in _ASKS[each]]
    if level is Level.LIVE and not asked:
        left.append(f"{_ANSWERS} (Kamailio does not run)")
    return (*left, "DNS")


@click.command("validate")
@settings.site_argument
@click.option("--strict", is_flag=True, help="Take hints for problems too: exit 3.")
@click.option(
    "--level",
    type=click.Choice(Level, case_sensitive=False),
    default=Level.SCHEMA,
    show_default=True,
    help="How far to go: render the files, ask the installed engines, ask what runs.",
)
@click.pass_context
def command(ctx: click.Context, site: str, *, strict: bool, level: Level) -> None:
    """Check the file SITE (site.yaml; - is standard input) and say all that is wrong with it.

    schema reads nothing but the file; render makes the engines' files; engine lets the installed
    engines check them in a folder of their own; live asks the SBC that runs, and its trunks.
    """
    options: settings.Settings = ctx.obj
    wanted, places = load.read_site(site)
    found = (*preset.find_placeholders(places), *rules.find_hints(wanted))
    hints = sentences.place(found, places)
    if strict and hints:
        raise errors.SiteError(hints)
    voice = options.console()
    voice.hints(hints)
    wrong, asked = _go_on(options, wanted, places, level)
    code = errors.ExitCode.FAILED if wrong else errors.ExitCode.DONE
    left = not_checked(level, asked=asked)
    lines = [f"{site}: {_describe(wanted)}, not checked: {', '.join(left)}"]
    lines += [f"  ! {sentence}" for sentence in wrong]
    voice.result(
        "validate",
        "" if options.quiet and not wrong else "\n".join(lines),
        {
            "site": wanted.site,
            "level": str(level),
            "hints": [console.problem_as_json(hint) for hint in hints],
            "wrong": list(wrong),
            "not_checked": list(left),
        },
        exit_code=code,
    )
    ctx.exit(code)


def _go_on(
    options: settings.Settings, site: model.Site, places: tree.SourceMap, level: Level
) -> tuple[tuple[str, ...], bool]:
    """Ask what *level* asks beyond the file; what is wrong, and whether anybody was asked."""
    if level is Level.SCHEMA:
        return (), False
    # Imported here: most look at the file only, and that is to be quick.
    from orchestrator.apply import rehearsal  # noqa: PLC0415
    from orchestrator.cli import placing  # noqa: PLC0415

    machine = placing.machine_for(options, site, os.environ)
    with placing.placed(places):
        rehearsal.render(site, machine)
        if level is not Level.RENDER:
            rehearsal.ask_engines(site, machine)
        if level is Level.LIVE:
            return rehearsal.ask_around(site, machine)
    return (), False


def _describe(site: model.Site) -> str:
    trunks = _count(len(site.trunks), "trunk")
    phones = _count(len(site.phones.users) if site.phones else 0, "phone")
    hosted = f", {_describe_tenants(site)}" if site.tenants else ""
    return f"site {site.site} is valid ({trunks}, {phones}{hosted})"


def _describe_tenants(site: model.Site) -> str:
    numbers = sum(tenants.count(tenant) for tenant in site.tenants.values())
    return f"{_count(len(site.tenants), 'tenant')} with {_count(numbers, 'number')}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
