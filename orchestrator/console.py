"""Everything a human or a script reads: results, steps, problems and failures.

Results go to stdout, progress and failures to stderr; with ``--output json`` one object goes to
stdout, on failure as well. The text is plain unless one decision, made once, allows colour; no
sentence carries its meaning by colour alone (facts/ux.md sections 1 and 2).

What comes from a file or an engine may hold anything: control and bidi characters are shown as
escapes, so that no text can drive the reader's terminal.
"""

from __future__ import annotations

import json
import re
import sys
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import TextIO

from orchestrator import errors

VERSION = "0.1.0"
"""The version of sbcctl; the same as in pyproject.toml (a test compares them)."""

FORMAT_VERSION = "1.0"
"""Version of the JSON objects; within 1.x keys are only added (facts/ux.md 2.2)."""

MOST_PROBLEMS = 20
"""Problems shown as text; the others are counted. JSON and GitHub get all of them."""

_NAME_WIDTH = 12
_TEXT_WIDTH = 52
_SOURCE_WIDTH = 96

# C0, DEL, C1, line and paragraph separators, bidi controls, lone surrogates, the BOM.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


class Output(StrEnum):
    """Who reads the output."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


class Color(StrEnum):
    """What the operator said about colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Ink(StrEnum):
    """The few colours there are, as SGR parameters."""

    GOOD = "32"
    BAD = "1;31"
    FAINT = "2"
    HINT = "36"


def wants_color(color: Color, environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Decide once whether to colour: the option, then NO_COLOR, then FORCE_COLOR, then the TTY.

    An empty variable counts as absent (no-color.org).
    """
    if color is not Color.AUTO:
        return color is Color.ALWAYS
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return terminal and environ.get("TERM") != "dumb"


def visible(text: str) -> str:
    r"""Show *text* so that it cannot drive a terminal: ESC becomes ``\x1b``, a tab ``\t``."""
    return _UNSAFE.sub(lambda match: _escape(match[0]), text)


def _escape(character: str) -> str:
    if character in "\t\n\r":
        return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _columns(text: str) -> int:
    """Terminal columns of *text*: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


class Step:
    """One step that is running; ``note`` sets the words at the end of its line."""

    __slots__ = ("_console", "bad", "name", "noted", "text")

    def __init__(self, console: Console, name: str, text: str) -> None:
        self._console = console
        self.name = name
        self.text = text
        self.noted = ""
        self.bad = False

    def note(self, text: str, *, bad: bool = False) -> None:
        """Say something about this step: how far it is, or what came of it.

        What came of it is *bad* though nothing was raised: its line says FAIL.
        """
        self.noted = text
        self.bad = bad
        self._console.redraw()


class Console:
    """One reader of our output: a terminal, a log or a program.

    Args:
        output: Who reads it.
        color: What the operator said about colour.
        quiet: Say nothing but results and failures.
        environ: Where NO_COLOR, FORCE_COLOR and TERM are looked up.
        stdout: Where results go; by default the process's own.
        stderr: Where progress and failures go.
    """

    def __init__(
        self,
        *,
        output: Output = Output.TEXT,
        color: Color = Color.AUTO,
        quiet: bool = False,
        environ: Mapping[str, str] | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.output = output
        self.quiet = quiet
        self._out = stdout or sys.stdout
        self._err = stderr or sys.stderr
        known = environ or {}
        terminal = self._err.isatty()
        self._colored = wants_color(color, known, terminal=terminal)
        self._redraws = terminal and known.get("TERM") != "dumb"
        self._width = _width_of(self._err) if self._redraws else 0
        self._running: list[Step] = []

    # -- results ----------------------------------------------------------------------------

    def result(
        self,
        kind: str,
        text: str,
        fields: Mapping[str, object] | None = None,
        *,
        exit_code: errors.ExitCode = errors.ExitCode.DONE,
    ) -> None:
        """Write the result of a verb to stdout.

        Args:
            kind: What this is, for programs: ``validate``, ``apply``...
            text: What a human reads; may have several lines, and may be empty.
            fields: What a program reads beside the envelope; JSON values only.
            exit_code: The code the process ends with; ``ok`` is whether it is DONE or
                CHANGES_PENDING.
        """
        if self.output is Output.JSON:
            self._write_object(kind, fields or {}, exit_code)
        elif text:
            self._out.write(text.rstrip("\n") + "\n")

    def _write_object(
        self, kind: str, fields: Mapping[str, object], exit_code: errors.ExitCode
    ) -> None:
        envelope = {
            "format_version": FORMAT_VERSION,
            "kind": kind,
            "sbcctl_version": VERSION,
            "ok": exit_code in (errors.ExitCode.DONE, errors.ExitCode.CHANGES_PENDING),
            "exit_code": int(exit_code),
        }
        # ensure_ascii keeps every terminal and every encoding safe from what a file may hold.
        self._out.write(json.dumps({**envelope, **fields}, indent=2) + "\n")

    # -- progress ---------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Write a line of progress to stderr, unless quiet."""
        if not self.quiet:
            self._line(text)

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[Step]:
        """Show one step: its name, what it does, how long it took, ok or FAIL, and a note.

        On a terminal the line of a running step is drawn at once and redrawn by ``note``;
        elsewhere there is one line for each finished step, with the time in front. A failure
        marks the step FAIL and goes on to the caller.

        Args:
            name: One word, the same in every run: ``certificate``.
            text: What it does: ``sbc.example.com (ACME http-01)``.
        """
        step = Step(self, name, text)
        self._running.append(step)
        self.redraw()
        began = time.monotonic()
        verdict = "FAIL"
        try:
            yield step
            verdict = "FAIL" if step.bad else "ok"
        finally:
            self._running.remove(step)
            if not self.quiet:
                self._line(self._finished(step, time.monotonic() - began, verdict))

    def _finished(self, step: Step, seconds: float, verdict: str) -> str:
        words = self._paint(verdict.ljust(4), Ink.GOOD if verdict == "ok" else Ink.BAD)
        line = f"{_step_start(step)} {seconds:6.1f}s  {words} {visible(step.noted)}".rstrip()
        if self._redraws:
            return line
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) + line

    def redraw(self) -> None:
        """Draw the line of the running step again; nothing happens without a terminal."""
        if not self._redraws or self.quiet or not self._running:
            return
        step = self._running[-1]
        line = f"{_step_start(step)} {visible(step.noted) or '...'}".rstrip()
        self._tell(f"\r\x1b[K{_clip(line, self._width - 1)}")

    def _line(self, text: str) -> None:
        """Write a whole line to stderr; the running step's line moves down."""
        clear = "\r\x1b[K" if self._redraws and not self.quiet else ""
        self._tell(f"{clear}{text}\n")
        self.redraw()

    def _tell(self, text: str) -> None:
        """Write to stderr; that it cannot be read or kept any more breaks off no work."""
        with suppress(OSError, ValueError):
            self._err.write(text)
            self._err.flush()

    # -- failures ---------------------------------------------------------------------------

    def fail(self, error: errors.SbcctlError) -> None:
        """Say why a verb failed: stderr for humans, stdout for programs."""
        problems = error.problems if isinstance(error, errors.SiteError) else ()
        words = error.words if isinstance(error, errors.EngineRefused) else ""
        if self.output is Output.JSON:
            fields: dict[str, object] = {"message": error.message, "hint": error.hint}
            if words:
                fields["words"] = words
            if isinstance(error, errors.NotObtained):
                at = error.retry_at and f"{error.retry_at:%Y-%m-%dT%H:%M:%SZ}"
                fields |= {"cause": str(error.cause), "retry_at": at}
            if problems:
                fields["problems"] = [problem_as_json(problem) for problem in problems]
            self._write_object("error", fields, error.exit_code)
        elif self.output is Output.GITHUB:
            self._annotate(error, problems)
        elif problems:
            self._show_problems(problems)
        else:
            self._line(f"{self._paint('error', Ink.BAD)}: {visible(error.message)}")
            for line in words.splitlines():
                self._line(f"  | {visible(line)}")
            if error.hint:
                self._line(f"  {self._paint('hint', Ink.HINT)}: {visible(error.hint)}")

    def hints(self, problems: Sequence[errors.Problem]) -> None:
        """Show to stderr what is allowed in site.yaml but probably not meant."""
        if self.output is Output.TEXT and not self.quiet:
            for problem in problems:
                self._line("\n".join(self._problem_lines(problem, kind="hint", ink=Ink.HINT)))

    def _show_problems(self, problems: Sequence[errors.Problem]) -> None:
        for problem in problems[:MOST_PROBLEMS]:
            self._line("\n".join(self._problem_lines(problem)))
        hidden = len(problems) - MOST_PROBLEMS
        if hidden > 0:
            self._line(f"... and {hidden} more; --output json shows all of them")
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        self._line(f"{count} in site.yaml; nothing was changed")
        self._line(f"sbcctl explain {problems[0].id} says more")

    def _problem_lines(
        self, problem: errors.Problem, *, kind: str = "error", ink: Ink = Ink.BAD
    ) -> list[str]:
        mark = self._paint(f"{kind}[{problem.id}]", ink)
        where = f"{visible(str(problem.position))}: " if problem.position else ""
        lines = [f"{where}{mark}: {visible(problem.message)}"]
        hint = f"{self._paint('hint', Ink.HINT)}: {visible(problem.hint)}" if problem.hint else ""
        if problem.position and problem.source.strip():
            text, caret = _source_window(problem.source, problem.position.column)
            lines.append(f"{problem.position.line:>6} | {text}")
            lines.append(f"       | {' ' * caret}{self._paint('^', ink)}  {hint}".rstrip())
        elif hint:
            lines.append(f"       {hint}")
        return lines

    def _annotate(self, error: errors.SbcctlError, problems: Sequence[errors.Problem]) -> None:
        """Write GitHub workflow commands: one annotation for each problem."""
        for problem in problems:
            self._out.write(
                f"::error {_annotated_place(problem.position)}title={_property(problem.id)}::"
                f"{_message(problem.message, problem.hint)}\n"
            )
        if not problems:
            self._out.write(f"::error title=sbcctl::{_message(error.message, error.hint)}\n")

    def _paint(self, text: str, ink: Ink) -> str:
        return f"\x1b[{ink}m{text}\x1b[0m" if self._colored else text


def _step_start(step: Step) -> str:
    return f"  {step.name:<{_NAME_WIDTH}} {visible(step.text):<{_TEXT_WIDTH}}"


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width, 0)]


def _width_of(stream: TextIO) -> int:
    import os  # noqa: PLC0415 - only a terminal has a width

    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _source_window(source: str, column: int) -> tuple[str, int]:
    """The part of a line around *column* that fits, and the caret's offset in it.

    A site written as one long flow line still shows the place.
    """
    at = min(column - 1, len(source))
    start = 0 if len(source) <= _SOURCE_WIDTH else max(0, at - _SOURCE_WIDTH // 2)
    part = source[start : start + _SOURCE_WIDTH].rstrip()
    left = "..." if start else ""
    right = "..." if start + _SOURCE_WIDTH < len(source) else ""
    before = visible(source[start:at])
    return f"{left}{visible(part)}{right}", len(left) + _columns(before)


def problem_as_json(problem: errors.Problem) -> dict[str, object]:
    """A Problem as JSON: id, message, hint, path, file, line and column."""
    place = problem.position
    return {
        "id": problem.id,
        "message": problem.message,
        "hint": problem.hint,
        "path": list(problem.path),
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
    }


def _annotated_place(place: errors.Position | None) -> str:
    if place is None:
        return ""
    return f"file={_property(place.file)},line={place.line},col={place.column},"


def _message(message: str, hint: str) -> str:
    text = f"{message} (hint: {hint})" if hint else message
    return visible(text).replace("%", "%25")


def _property(text: str) -> str:
    return visible(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
