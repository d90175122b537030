"""The command line: verbs to use cases; the only place where parts are put together.

Each verb lives in a module of its own that exposes ``command`` and is imported when it is
called, so that ``sbcctl --help`` stays instant (DESIGN section 7). :func:`main` holds the only
broad handler of the house: whatever goes wrong ends in a sentence and an exit code.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence

import click

from orchestrator import errors
from orchestrator.cli import settings

VERBS = {
    "init": "Write a site.yaml to begin with.",
    "validate": "Check site.yaml, and how far it would get; nothing is touched.",
    "explain": "Say what a field of site.yaml, or a problem, means.",
    "schema": "Print the JSON Schema of site.yaml, for editors.",
    "render": "Write the engines' configuration to a directory.",
    "route": "Say where a call goes, and why.",
    "plan": "Show what an apply would do, and what calls would notice.",
    "diff": "Compare the engines' files that serve with those a site asks for.",
    "show": "Show a saved plan again.",
    "apply": "Make this machine the SBC that site.yaml describes.",
    "rollback": "Make the configuration that served before serve again.",
    "status": "Show how engines, trunks and certificate are doing, and what drifted.",
    "cert": "Show, renew and install the certificate that Teams sees.",
    "doctor": "Check names, DNS and certificates: is the site ready for Teams?",
    "history": "Show what was applied, when, by whom, and how it ended.",
    "lab": "Teams, a PBX, a phone and this SBC on one machine.",
    "completion": "Print the script that lets a shell complete sbcctl.",
    "version": "Show the versions of sbcctl and of the engines.",
}
"""The verbs with the sentence ``--help`` shows, so that help imports no verb."""

EXIT_CODES = """\b
Exit codes:
  0    done, or nothing to do
  1    failed; the previous configuration serves
  2    changes are pending (only with --detailed-exitcode)
  3    site.yaml is invalid; nothing was touched
  4    failed, and a human is needed
  5    another sbcctl holds the lock
  6    an engine, a program or a privilege is missing
  64   the command line is wrong
  130  interrupted
"""


class Verbs(click.Group):
    """A group that imports a verb's module when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order an operator needs them."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb *cmd_name*; an unknown one is a wrong command line."""
        if cmd_name not in VERBS:
            if ctx.resilient_parsing or cmd_name.startswith("-"):
                return None
            raise errors.UsageError(f"there is no verb {cmd_name}", hint=_meant(cmd_name))
        name = f"{__name__}.{cmd_name}"
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise errors.HostError(
                    f"the Python package {error.name} is missing, {cmd_name} needs it",
                    hint="install sbcctl again, for example with pipx install --force sbcctl",
                ) from error
            raise errors.UsageError(f"this sbcctl cannot {cmd_name} yet") from error
        command: click.Command = module.command
        return settings.share_options(command)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """The verbs that begin so, without importing them; the program starts at every TAB."""
        verbs = [
            click.shell_completion.CompletionItem(verb, help=sentence)
            for verb, sentence in VERBS.items()
            if verb.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing them."""
        del ctx
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


def _meant(verb: str) -> str:
    import difflib  # noqa: PLC0415 - only here

    near = difflib.get_close_matches(verb.lower(), VERBS, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(VERBS)}"


program = Verbs(
    name="sbcctl",
    help="The open-source SBC for Microsoft Teams Direct Routing.",
    epilog=EXIT_CODES,
    params=list(settings.shared_options(with_environment=True)),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
    no_args_is_help=False,
)


def main() -> None:
    """The program ``sbcctl``."""
    # A unit that is stopped and a closed terminal end like Ctrl-C: what was begun is undone.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    asked = os.environ.get(settings.COMPLETE_VARIABLE)
    if asked:
        sys.exit(_complete(asked))
    sys.exit(run(sys.argv[1:]))


def _complete(instruction: str) -> int:
    """Answer a shell that asks what may come next; it shows nothing else than the answer."""
    from click import shell_completion  # noqa: PLC0415 - only here

    return shell_completion.shell_complete(
        program, {}, "sbcctl", settings.COMPLETE_VARIABLE, instruction
    )


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every failure has been said by then."""
    code: int = errors.ExitCode.FAILED
    try:
        code = _run(list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has left (`sbcctl ... | head`); nothing can be said to it any more.
        _drop_output()
        return code or errors.ExitCode.FAILED
    except OSError as error:
        _drop_output()
        return code or _fail(_unwritable(error), settings.Settings())
    return code


def _drop_output() -> None:
    """Let what could not be written vanish, or Python would complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unwritable(error: OSError) -> errors.HostError:
    where = f"{error.filename}: " if error.filename else ""
    return errors.HostError(f"{where}{error.strerror}", hint="make space and run it again")


def _run(arguments: list[str]) -> int:
    context: click.Context | None = None
    try:
        with program.make_context("sbcctl", arguments) as context:
            program.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        # The command line was not read to its end: what it says about the output is guessed.
        return _fail(_usage_error(error), settings.guess(arguments, os.environ))
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one broad handler
        return _fail_for(error, settings.settings_of(context))
    return errors.ExitCode.DONE


def _fail_for(error: BaseException, options: settings.Settings) -> int:
    """Say what happened in words, whatever it was."""
    if isinstance(error, errors.SbcctlError):
        return _fail(error, options)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return _fail(_Interrupted(". ".join(("interrupted", *_notes(error)))), options)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _fail(_unwritable(error), options)
    return _unexpected(error, options)


class _Interrupted(errors.SbcctlError):
    """The operator, or systemd, ended the run."""

    exit_code = errors.ExitCode.INTERRUPTED


def _usage_error(error: click.ClickException) -> errors.UsageError:
    context = getattr(error, "ctx", None)
    hint = f"{context.command_path} --help shows what there is" if context else ""
    return errors.UsageError(error.format_message().rstrip("."), hint=hint)


def _fail(error: errors.SbcctlError, options: settings.Settings) -> int:
    options.console().fail(error)
    return error.exit_code


def _unexpected(error: BaseException, options: settings.Settings) -> int:
    if options.debug:
        import traceback  # noqa: PLC0415 - only here

        traceback.print_exception(error)
    sentence = str(error).partition("\n")[0]
    message = f"sbcctl made a mistake of its own: {type(error).__name__}: {sentence}"
    message = ". ".join((message.rstrip(": "), *_notes(error)))
    hint = "run it again with --debug and report what it prints"
    return _fail(errors.SbcctlError(message, hint=hint), options)


def _notes(error: BaseException) -> list[str]:
    """What was said about an error on its way: which generation serves now."""
    return [str(note) for note in getattr(error, "__notes__", ())]
