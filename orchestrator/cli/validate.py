"""``sbcctl validate``: is this a site? Nothing but the file is read."""

from __future__ import annotations

import click

from orchestrator import console, errors
from orchestrator.cli import settings
from orchestrator.site import load, model, preset, rules, sentences

NOT_CHECKED = ("the engines' own check", "DNS", "the certificate", "whether trunks answer")
"""What ``validate`` cannot know; ``apply`` finds out."""


@click.command("validate")
@settings.site_argument
@click.option("--strict", is_flag=True, help="Take hints for problems too: exit 3.")
@click.pass_obj
def command(options: settings.Settings, site: str, *, strict: bool) -> None:
    """Check the file SITE (site.yaml; - is standard input) and say all that is wrong with it."""
    wanted, places = load.read_site(site)
    found = (*preset.find_placeholders(places), *rules.find_hints(wanted))
    hints = sentences.place(found, places)
    if strict and hints:
        raise errors.SiteError(hints)
    voice = options.console()
    voice.hints(hints)
    voice.result(
        "validate",
        "" if options.quiet else f"{site}: {_describe(wanted)}, not checked: {_join(NOT_CHECKED)}",
        {
            "site": wanted.site,
            "hints": [console.problem_as_json(hint) for hint in hints],
            "not_checked": list(NOT_CHECKED),
        },
    )


def _describe(site: model.Site) -> str:
    trunks = _count(len(site.trunks), "trunk")
    phones = _count(len(site.phones.users) if site.phones else 0, "phone")
    return f"site {site.site} is valid ({trunks}, {phones})"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _join(words: tuple[str, ...]) -> str:
    return ", ".join(words)
