"""``sbcctl history``: what was done to this machine, and which generations can be gone back to."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator.host import history

_SHOWN = 20


@click.command("history")
@click.option(
    "--all", "whole", is_flag=True, help=f"Show every change on record, not the last {_SHOWN}."
)
@click.pass_obj
def command(options: settings.Settings, *, whole: bool) -> None:
    """Show the changes of this machine, the latest last, and the generations on disk."""
    from orchestrator.host import history, journal, store  # noqa: PLC0415

    state = Path(options.state_dir)
    kept = store.Store(state, None)
    there = kept.names() if (state / "generations").is_dir() else ()
    entries = history.read(state)
    dead = journal.read(state)
    current, good = kept.current(), kept.last_known_good()
    lines = [_line(entry, there, current) for entry in (entries if whole else entries[-_SHOWN:])]
    if dead is not None:
        lines.append(
            f"{dead.began}  {dead.command} (process {dead.pid}) did not end; "
            "the next apply goes on, sbcctl rollback undoes it"
        )
    options.console().result(
        "history",
        "\n".join(lines) or f"nothing was applied yet ({state})",
        {
            "changes": [dataclasses.asdict(entry) for entry in entries],
            "generations": [
                {"name": name, "current": name == current, "last_known_good": name == good}
                for name in there
            ],
            "unfinished": dataclasses.asdict(dead) if dead else None,
        },
    )


def _line(entry: history.Entry, there: tuple[str, ...], current: str | None) -> str:
    name = entry.after or "-"
    mark = "serves" if name == current else "" if name in there else "(removed)"
    count = len(entry.steps)
    done = f"{count} step{'s' if count != 1 else ''}, {entry.seconds:.1f} s"
    told = f"{entry.time}  {entry.result:<8}  {name:<12}  {entry.command} by {entry.by} ({done})"
    why = f": {entry.message}" if entry.message else ""
    return f"{told}{why} {mark}".rstrip()
