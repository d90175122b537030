"""Tenants as lines of JSON, one in each: what a program writes for a program to read.

Pure. A line is read whole by the parser of the standard library, ten times as fast as YAML; so
what is wrong in one has the place of the line, and no column. Scalars are text here as well:
``4930`` is the text ``"4930"``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from orchestrator import errors
from orchestrator.site import sentences, source, tree

NAME = "name"
"""The key under which a line says which tenant it is."""


def build(
    read: source.Source, *, most_values: int, most_problems: int
) -> tuple[tree.Node | None, list[errors.Problem]]:
    """The lines as a mapping of names, as ``parse.build`` would give it for YAML.

    Each tenant is a value without anything below it: its place is its line. Lines without a
    tenant are left out, and there is a Problem for each; beyond *most_problems* none is read.
    """
    weight = _count_values(read.text)
    if weight > most_values:
        return None, [_too_many(read, most_values)]
    values: dict[str, object] = {}
    children: dict[str | int, tree.Node] = {}
    keys: dict[str, tuple[int, int]] = {}
    problems: list[errors.Problem] = []
    for number in range(len(read.starts)):
        if len(problems) > most_problems:
            break
        text = read.text[read.starts[number] : _end_of(read, number)].strip()
        if not text:
            continue
        line = _Line(read, number)
        found = line.read(text)
        if isinstance(found, errors.Problem):
            problems.append(found)
            continue
        name, fields = found
        if name in keys:
            problems.append(line.repeats(name, keys[name][0] + 1))
            continue
        values[name] = fields
        children[name] = tree.Node(number, 0, fields)
        keys[name] = (number, 0)
    return tree.Node(0, 0, values, children, keys, weight), problems


def _count_values(text: str) -> int:
    """At least as many as there are: whatever stands in JSON, one of these is before it."""
    letters = text.encode("utf-8", "surrogatepass")
    return len(letters) - len(letters.translate(None, b",:[{"))


def _end_of(read: source.Source, number: int) -> int:
    return read.starts[number + 1] if number + 1 < len(read.starts) else len(read.text)


def _too_many(read: source.Source, most: int) -> errors.Problem:
    return errors.Problem(
        "too-many-values",
        f"the file has more than {most:,} keys and values",
        position=errors.Position(read.file, 1, 1),
        hint="write ranges and prefixes instead of single numbers, or several sites",
    )


class _Line:
    """One line of a file."""

    def __init__(self, read: source.Source, number: int) -> None:
        self._read = read
        self._number = number + 1

    def read(self, text: str) -> tuple[str, dict[str, object]] | errors.Problem:
        """The name and the fields of the tenant in *text*, or what is wrong with it."""
        found = self._parse(text)
        if isinstance(found, errors.Problem):
            return found
        if not isinstance(found, dict):
            return self._told(
                "wrong-type",
                "a line must be a mapping",
                hint='{"name": "acme", "fqdn": "acme.sbc.example.com", "numbers": ["+493055500"]}',
            )
        name = found.pop(NAME, None)
        if not isinstance(name, str):
            return self._told(
                "missing-key", "required key name is missing", hint="the name of the tenant"
            )
        return name, found

    def _parse(self, text: str) -> object:
        try:
            found = json.loads(
                text,
                object_pairs_hook=_without_repeats,
                parse_int=str,
                parse_float=str,
                parse_constant=str,
            )
            bad = next(_bad_characters(found), "") if "\\" in text else ""
        except json.JSONDecodeError as error:
            said = f"{error.msg[:1].lower()}{error.msg[1:]}"
            return self._told("json", f"this is not JSON: {said}", column=error.pos + 1)
        except _RepeatedKey as error:
            repeated = sentences.shown(error.key)
            return self._told("duplicate-key", f"the key {repeated} stands here twice")
        except RecursionError:
            return self._told("too-deep", "this is nested deeper than any tenant")
        if bad:
            words = f"the {source.name_of(bad)} may not stand in this text"
            return self._told("bad-character", words)
        return found

    def repeats(self, name: str, first: int) -> errors.Problem:
        """Say that an earlier line of the file has this tenant."""
        return self._told(
            "tenant-twice",
            f"the tenant {sentences.shown(name)} is given a second time",
            hint=f"it was given in line {first}; keep one of the two",
        )

    def _told(self, kind: str, message: str, *, hint: str = "", column: int = 1) -> errors.Problem:
        place = errors.Position(self._read.file, self._number, column)
        return errors.Problem(
            kind, message, position=place, hint=hint, source=self._read.line(self._number)
        )


class _RepeatedKey(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A mapping; the parser alone would keep the last of two without a word."""
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RepeatedKey(key)
            seen.add(key)
    return made


def _bad_characters(value: object) -> Iterator[str]:
    r"""What an escape such as \n brought into a text; only lines with a backslash are searched."""
    if isinstance(value, str):
        if bad := source.find_bad_in_value(value):
            yield bad
    elif isinstance(value, list):
        for each in value:
            yield from _bad_characters(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _bad_characters(key)
            yield from _bad_characters(each)
