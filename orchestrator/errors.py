"""Every error raised on purpose: what happened to what, what to do next, and the exit code.

The tree is drawn by whose move it is::

    SbcctlError                message, hint, exit code
    |- SiteError               the operator changes site.yaml; carries every Problem       3
    |- UsageError              the command line was wrong                                 64
    |- HostError               this machine: program, privilege, disk, port                6
    |  |- LockHeld             another sbcctl is at work                                   5
    |  `- NotHere              an address that site.yaml names is not on this machine      6
    |- EngineError             a daemon or tool we drive
    |  |- EngineRefused        it answered: no (its own words are kept)                    1
    |  |  `- NotObtained       no CA gave a certificate; sorted by cause                   1
    |  `- EngineSilent         no answer in time                                           6
    `- ApplyError              a step failed; says what was restored and what serves now   1
       `- HumanNeeded          and the way back failed as well                             4

The exit codes are the ones of DESIGN section 7. Foreign exceptions are translated once, in the
module that is the door to the foreign thing, and chained with ``from``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells the script that called it (DESIGN section 7)."""

    DONE = 0
    FAILED = 1
    CHANGES_PENDING = 2
    SITE_INVALID = 3
    HUMAN_NEEDED = 4
    LOCKED = 5
    HOST = 6
    USAGE = 64
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in site.yaml: where, what, and what to do about it.

    Attributes:
        id: Stable name of the kind of problem, for example ``unknown-key``.
        message: What is wrong, in one sentence without a full stop.
        path: Where in the site, as keys and list indexes: ``("trunks", "office", "kind")``.
        position: Where in the text, or None when the text has no such place.
        hint: The next thing to try, or an empty string.
        source: The text of the line at ``position``, without its line end; may be empty.
    """

    id: str
    message: str
    path: tuple[str | int, ...] = ()
    position: Position | None = None
    hint: str = ""
    source: str = ""


class SbcctlError(Exception):
    """The root of all errors raised on purpose."""

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SiteError(SbcctlError):
    """site.yaml cannot be used as it is; nothing was touched."""

    exit_code = ExitCode.SITE_INVALID

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = len(problems)
        super().__init__(f"site.yaml has {count} problem{'s' if count != 1 else ''}")
        self.problems = problems


class UsageError(SbcctlError):
    """The command line asked for something that does not exist."""

    exit_code = ExitCode.USAGE


class HostError(SbcctlError):
    """This machine lacks something: a program, a privilege, space, a free port."""

    exit_code = ExitCode.HOST


class LockHeld(HostError):
    """Another sbcctl holds the lock of this state directory."""

    exit_code = ExitCode.LOCKED


class NotHere(HostError):
    """Something that site.yaml names is not on this machine."""


class EngineError(SbcctlError):
    """A daemon or tool that we drive did not do what was asked."""


class EngineRefused(EngineError):
    """The engine answered no; its words stand in ``words`` as it said them.

    ``quoted`` are the lines of rendered files that these words are about, where they name any.
    ``lacks`` is true when the engine lacks something, so that no line of site.yaml is to blame.
    """

    def __init__(
        self,
        message: str,
        *,
        words: str = "",
        hint: str = "",
        quoted: tuple[str, ...] = (),
        lacks: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.words = words
        self.quoted = quoted
        self.lacks = lacks


class NotObtained(EngineRefused):
    """A CA gave no certificate: ``cause`` is one word, ``retry_at`` the time the CA named."""

    def __init__(
        self,
        message: str,
        *,
        words: str = "",
        hint: str = "",
        cause: str = "other",
        retry_at: dt.datetime | None = None,
    ) -> None:
        super().__init__(message, words=words, hint=hint)
        self.cause = cause
        self.retry_at = retry_at


class EngineSilent(EngineError):
    """The engine did not answer in time, or nobody listens there."""

    exit_code = ExitCode.HOST


class ApplyError(SbcctlError):
    """A step failed. The message says what was restored and what serves now."""


class HumanNeeded(ApplyError):
    """A step failed and the last known good generation could not be restored either."""

    exit_code = ExitCode.HUMAN_NEEDED
