"""The text of site.yaml and the places in it: bytes in, lines, positions and first problems out.

Checked here, before any parser sees the text (facts/reliability.md 2.B and 5.1): its size, its
encoding, and characters that no site needs and that do harm in configuration files and
terminals: control characters, bidi controls, line separators, a byte order mark in the middle.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator import errors

MOST_BYTES = 4 * 1024 * 1024
"""The largest site.yaml; 20,000 trunks take about one of these four MiB."""

MOST_LINES = 500_000
"""The most lines of a site.yaml."""

MOST_SHOWN = 100_000
"""Characters of the longest line that is shown: a thousand Problems may be in one line."""

_MOST_BAD_LINES = 20
_MOST_BAD_CHARACTERS = 1_000

# What may not stand in the file: everything invisible but tab, LF and CR. surrogateescape turns
# a byte that is not UTF-8 into U+DC80..DCFF, so those are found by the same search.
_BAD = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)
# What is surely none of these; a text of nothing else need not be searched letter by letter.
_PLAIN = bytes((*b"\t\n\r", *range(0x20, 0x7F)))
# A scalar may not hold line breaks and tabs either: "\n" in quotes, or a block scalar.
_BAD_IN_VALUE = re.compile(f"[\t\n\r]|{_BAD.pattern}")
_DIRECTIVE = re.compile(r"(?:^|(?<=[\r\n]))%")
_LINE_END = re.compile("\r\n|\r|\n")
# A line that spells out a secret is never shown again.
_SECRET = re.compile(r"(?i)(pass(wor|phras|w)?[de]*|secret)[\"']?\s*:\s*(?![\s{]|$)")


@dataclass(frozen=True, slots=True)
class Source:
    """The decoded text of one file.

    Attributes:
        file: The name to show.
        text: The text; what was refused in it is replaced by U+FFFD.
        starts: Offset in ``text`` at which each line begins.
    """

    file: str
    text: str
    starts: tuple[int, ...]

    def position_at(self, offset: int) -> errors.Position:
        """The place of the character at *offset* in the text."""
        line = bisect.bisect_right(self.starts, offset) - 1
        return errors.Position(self.file, line + 1, offset - self.starts[line] + 1)

    def line(self, number: int) -> str:
        """The text of line *number*, counted from 1, without its end; empty past the end.

        A line that spells out a password is not shown: the output may end in a public log. Nor is
        one longer than MOST_SHOWN.
        """
        if not 1 <= number <= len(self.starts):
            return ""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        if end - self.starts[number - 1] > MOST_SHOWN:
            return ""
        text = self.text[self.starts[number - 1] : end].rstrip("\r\n")
        return "" if _SECRET.search(text) else text


def _new(file: str, text: str) -> Source:
    if "\r" in text:
        return Source(file, text, (0, *(match.end() for match in _LINE_END.finditer(text))))
    lengths = (len(line) + 1 for line in text.split("\n")[:-1])
    return Source(file, text, tuple(itertools.accumulate(lengths, initial=0)))


def read_source(
    text: bytes, file: str, *, most_bytes: int = MOST_BYTES
) -> tuple[Source, tuple[errors.Problem, ...]]:
    """Decode *text*; the Problems are complete when the Source is empty.

    A byte order mark at the beginning is dropped. At most one Problem is made for each line.
    """
    top = errors.Position(file, 1, 1)
    if len(text) > most_bytes:
        return _new(file, ""), (
            errors.Problem(
                "file-too-large",
                f"the file has {len(text):,} bytes or more, and may have {most_bytes:,}",
                position=top,
                hint="include files of tenants, or spread the trunks over several sites",
            ),
        )
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _new(file, ""), (
            errors.Problem(
                "not-utf8",
                "the file is UTF-16, a site is UTF-8",
                position=top,
                hint="save it as UTF-8",
            ),
        )
    decoded = text.decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")
    lines = decoded.count("\n") + decoded.count("\r")
    if lines > MOST_LINES:
        return _new(file, ""), (
            errors.Problem(
                "file-too-large",
                f"the file has about {lines:,} lines, and may have {MOST_LINES:,}",
                position=top,
                hint="remove empty lines, or spread the trunks over several sites",
            ),
        )
    source = _new(file, decoded)
    found = tuple(_bad_characters(source)) if text.translate(None, _PLAIN) else ()
    if not found:
        directives = _directives(source)
        return (_new(file, "") if directives else source), directives
    replaced, count = _BAD.subn("\ufffd", decoded, _MOST_BAD_CHARACTERS)
    if len(found) == _MOST_BAD_LINES or count == _MOST_BAD_CHARACTERS:
        # This is no text with a slip in it, but another kind of file.
        return _new(file, ""), found
    directives = _directives(source)
    return _new(file, "" if directives else replaced), (*found, *directives)


def _directives(source: Source) -> tuple[errors.Problem, ...]:
    """Refuse YAML directives: no site needs them, and libyaml's time for them is quadratic.

    A line that begins with % can be nothing else, but for a text in quotes over several lines.
    """
    match = _DIRECTIVE.search(source.text) if "%" in source.text else None
    if match is None:
        return ()
    place = source.position_at(match.start())
    return (
        errors.Problem(
            "yaml",
            "a line that begins with % is not used in a site",
            position=place,
            hint="remove the line",
            source=source.line(place.line),
        ),
    )


def _bad_characters(source: Source) -> Iterator[errors.Problem]:
    """The first refused character of each line, for a few lines."""
    match = _BAD.search(source.text)
    for _ in range(_MOST_BAD_LINES):
        if match is None:
            return
        place = source.position_at(match.start())
        yield _bad_character(match[0], place, source.line(place.line))
        if place.line == len(source.starts):
            return
        match = _BAD.search(source.text, source.starts[place.line])


def _bad_character(character: str, place: errors.Position, line: str) -> errors.Problem:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        was = bytes([code - 0xDC00]).decode("cp1252", errors="replace")
        meant = f', in Windows-1252 it is "{was}"' if was.isprintable() and was != "\ufffd" else ""
        return errors.Problem(
            "not-utf8",
            f"the byte 0x{code - 0xDC00:02x} is not UTF-8{meant}",
            position=place,
            hint="save the file as UTF-8",
            source=line,
        )
    return errors.Problem(
        "bad-character",
        f"the {name_of(character)} may not stand in a site",
        position=place,
        hint="remove it; it is invisible in most editors",
        source=line,
    )


def find_bad_in_value(value: str) -> str:
    """The first character of a key or scalar that may not be in it, or an empty string."""
    match = _BAD_IN_VALUE.search(value)
    return match[0] if match else ""


def name_of(character: str) -> str:
    """What to call a character that cannot be shown: ``NUL character``, ``line break``."""
    known = {
        "\0": "NUL character",
        "\t": "tab",
        "\n": "line break",
        "\r": "line break",
        "\x1b": "escape character",
        "\ufeff": "byte order mark",
    }
    if character in known:
        return known[character]
    if character in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        return f"text direction mark U+{ord(character):04X}"
    return f"control character U+{ord(character):04X}"


def without_echoes(
    bad_lines: Iterable[errors.Problem], later: Iterable[errors.Problem]
) -> list[errors.Problem]:
    """Leave out what follows from a Problem already there: same line of bad text, same place."""
    lines = {
        (problem.position.file, problem.position.line) for problem in bad_lines if problem.position
    }
    told: set[errors.Position] = set()
    kept: list[errors.Problem] = []
    for problem in later:
        place = problem.position
        if place is not None and ((place.file, place.line) in lines or place in told):
            continue
        kept.append(problem)
        if place is not None and problem.path == ():
            told.add(place)
    return kept


def in_order(
    problems: Iterable[errors.Problem], *, first: str, most: int
) -> tuple[errors.Problem, ...]:
    """Sort Problems as they stand in the files; beyond *most* say how many follow.

    Those of the file *first* come first, those of others by the names of the files.
    """

    def place(problem: errors.Problem) -> tuple[str, int, int, str]:
        where = problem.position
        if where is None:
            return ("", 0, 0, problem.id)
        file = "" if where.file == first else where.file
        return (file, where.line, where.column, problem.id)

    ordered = sorted(problems, key=place)
    if len(ordered) <= most:
        return tuple(ordered)
    more = len(ordered) - most
    last = errors.Problem(
        "more-problems",
        f"at least {more:,} more problems follow",
        position=ordered[most].position,
    )
    return (*ordered[:most], last)
