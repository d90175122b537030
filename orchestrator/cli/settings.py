"""What the global options say, as one frozen value, and the options themselves.

Every option may stand before or behind the verb. Precedence: option > environment > default.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from orchestrator import console, errors

DEFAULT_SITE = "site.yaml"
"""What a verb reads that names no SITE."""

COMPLETE_VARIABLE = "_SBCCTL_COMPLETE"
"""Set by a shell that asks what may come next on its command line."""

_KEY = "sbcctl.settings"
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./+@-]*")


@dataclass(frozen=True, slots=True)
class Settings:
    """The global options; a command gets them with ``@click.pass_obj``.

    Attributes:
        output: Who reads the output.
        color: What the operator said about colour.
        quiet: Say nothing but results and failures.
        debug: Show the traceback of an unexpected error.
        state_dir: Absolute path of the directory that is kept (generations, certificates).
        run_dir: Absolute path of the directory that lives as long as the engines.
        engine_root: Directory tree to run the engines from, or None for this machine's own.
    """

    output: console.Output = console.Output.TEXT
    color: console.Color = console.Color.AUTO
    quiet: bool = False
    debug: bool = False
    state_dir: str = "/var/lib/sbcctl"
    run_dir: str = "/run/sbcctl"
    engine_root: str | None = None

    def console(self) -> console.Console:
        """A new Console on the process's own streams."""
        return console.Console(
            output=self.output,
            color=self.color,
            quiet=self.quiet,
            environ=os.environ,
        )


lock_timeout_option = click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0, max=86400),
    default=0.0,
    metavar="SECONDS",
    help="Wait this long for another sbcctl to end (0).",
)
"""For verbs that change the machine."""

allow_down_option = click.option(
    "--allow-down",
    multiple=True,
    metavar="TRUNK",
    help="Go on although this trunk (or teams) does not answer OPTIONS; may repeat.",
)
"""For verbs that ask by OPTIONS afterwards."""


_DAY = 86400


def _seconds(text: str | None) -> float | None:
    """How long ``30m`` is; up to a day."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,5})([smh])", text)
    seconds = int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    if not 0 < seconds <= _DAY:
        raise errors.UsageError(
            f"--drain {text} is no time", hint="write it as 90s, 30m or 2h; a day at most"
        )
    return float(seconds)


drain_option = click.option(
    "--drain",
    metavar="TIME",
    callback=lambda _context, _option, value: _seconds(value),
    help="Before a restart refuse new calls and wait 30m (90s, 2h) at most for the others to end.",
)
"""For verbs that may restart an engine."""


class _PlainFolder(click.Path):
    """A directory whose path the engines' configuration can name without quoting."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Make it absolute; a path with a space ends here and not in a template."""
        path = super().convert(value, param, ctx)
        if not _PLAIN_PATH.fullmatch(str(path)):
            why = "the engines take paths of letters, digits and ._+@-"
            self.fail(f"{str(path)!r} is not possible: {why}", param, ctx)
        return path


@contextmanager
def told(generation: str) -> Iterator[None]:
    """Say what serves where the result of a change cannot be printed."""
    try:
        yield
    except OSError as error:
        raise errors.HostError(
            f"generation {generation} serves, and that could not be printed:"
            f" {(error.strerror or str(error)).lower()}",
            hint="nothing is to be run again; make space where the output goes",
        ) from error


def settings_of(ctx: click.Context | None) -> Settings:
    """The settings as far as they were read when *ctx* was left; defaults without one."""
    known = ctx.meta.get(_KEY) if ctx is not None else None
    return known if isinstance(known, Settings) else Settings()


def guess(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """What a command line that cannot be read says about its output."""
    wanted = [environ.get("SBCCTL_OUTPUT", "")]
    for number, argument in enumerate(arguments):
        if argument in ("-o", "--output"):
            wanted += arguments[number + 1 : number + 2]
        elif argument.startswith("--output="):
            wanted.append(argument.partition("=")[2])
    known = [console.Output(word) for word in wanted if word in list(console.Output)]
    return Settings(output=known[-1]) if known else Settings()


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Put one option's value into the settings; an absent option leaves them alone."""
    known = settings_of(ctx)
    if value not in (None, False, 0):
        assert param.name is not None
        known = dataclasses.replace(known, **{param.name: value})  # type: ignore[arg-type]
    ctx.meta[_KEY] = known
    ctx.obj = known


def shared_options(*, with_environment: bool) -> list[click.Option]:
    """The global options, for the program (with their variables) or for a verb (without)."""

    def option(*flags: str, env: str = "", **attributes: Any) -> click.Option:
        return click.Option(
            list(flags),
            envvar=env if env and with_environment else None,
            expose_value=False,
            callback=_remember,
            hidden=not with_environment,
            **attributes,
        )

    folder = click.Path(file_okay=False, resolve_path=True)
    plain = _PlainFolder(file_okay=False, resolve_path=True)
    return [
        option(
            "-o",
            "--output",
            env="SBCCTL_OUTPUT",
            type=click.Choice(console.Output, case_sensitive=False),
            help="Who reads the output: text (the default), json, or github for annotations.",
        ),
        option(
            "--color",
            env="SBCCTL_COLOR",
            type=click.Choice(console.Color, case_sensitive=False),
            help="auto (the default), always or never; NO_COLOR and FORCE_COLOR are honoured.",
        ),
        option("-q", "--quiet", is_flag=True, help="Say nothing but results and failures."),
        option(
            "--debug",
            env="SBCCTL_DEBUG",
            is_flag=True,
            help="Show the traceback of an unexpected error.",
        ),
        option(
            "--state-dir",
            env="SBCCTL_STATE_DIR",
            type=plain,
            metavar="DIR",
            help=f"Where generations and certificates are kept ({Settings().state_dir}).",
        ),
        option(
            "--run-dir",
            env="SBCCTL_RUN_DIR",
            type=plain,
            metavar="DIR",
            help=f"Where the engines' sockets are ({Settings().run_dir}).",
        ),
        option(
            "--engine-root",
            env="SBCCTL_ENGINE_ROOT",
            type=folder,
            metavar="DIR",
            help="Run the engines from this directory tree instead of this machine's own.",
        ),
    ]


def site_argument(command: Any) -> Any:
    """The argument SITE of a verb; without it the verb reads site.yaml in this directory."""
    return click.argument(
        "site", metavar="[SITE]", default=DEFAULT_SITE, shell_complete=_complete_file
    )(command)


def _complete_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Let the shell complete the name of a file."""
    from click import shell_completion  # noqa: PLC0415 - a shell asks, nobody else

    del ctx, param
    return [shell_completion.CompletionItem(incomplete, type="file")]


def share_options(command: click.Command) -> click.Command:
    """Let the global options stand behind this verb and its own verbs as well.

    A flag the verb uses itself is the verb's; an option without any flag left is left out.
    """
    taken = {flag for param in command.params for flag in param.opts}
    if not taken.isdisjoint({"--state-dir", "--color"}):
        return command
    for option in shared_options(with_environment=False):
        option.opts = [flag for flag in option.opts if flag not in taken]
        if option.opts:
            command.params.append(option)
    if isinstance(command, click.Group):
        for verb in command.commands.values():
            share_options(verb)
    return command
