"""Files of tenants: found by globs, read whole, and put where they belong in the site.

``tenants: {include: tenants.d/*.yaml}`` names files beside site.yaml; each is a mapping of names
to tenants, in YAML, or one tenant a line in JSON (``.jsonl``). Every value keeps the place it has
in its own file. A file that is broken costs its own tenants only, so that all Problems of all
files are told at once. What all files together may cost is bounded here (record 0034).
"""

from __future__ import annotations

import glob
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator import errors
from orchestrator.site import jsonl, parse, sentences, source, tenants, tree

KEY = tenants.INCLUDE
"""The key under ``tenants`` that is no tenant."""
MOST_FILES = 20_000
"""Files that may be included."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes of all included files together; one of YAML has the limit of site.yaml besides."""
MOST_VALUES = 2_500_000
"""Keys and values of all included files together."""
JSON_LINES = ".jsonl"
"""How the name of a file ends that has a tenant in each line."""

_BELOW = "**"
_AT: tree.Path = (tree.TENANTS, KEY)
_Place = tuple[tree.Path, str]


@dataclass(slots=True)
class Included:
    """What came of reading.

    Attributes:
        places: The site with the tenants of all files in it.
        bad_text: Problems of the texts; what follows from them in the same line is an echo.
        problems: All others.
    """

    places: tree.SourceMap
    bad_text: list[errors.Problem] = field(default_factory=list)
    problems: list[errors.Problem] = field(default_factory=list)


def read_tenants(places: tree.SourceMap, folder: Path | None) -> Included:
    """Read the files that the site at *places* includes.

    Args:
        places: The site as it stands in site.yaml.
        folder: Where globs begin; None when the site is in no file, so that there is no place.
    """
    made = Included(places)
    given = places.root.children.get(tree.TENANTS)
    if given is None or not isinstance(given.value, dict) or KEY not in given.value:
        return made
    globs = _globs(given.value[KEY], places, made)
    if folder is None and globs:
        made.problems.append(
            _told(
                "include-from-nowhere",
                "tenants.include names files beside site.yaml, and this site is in no file",
                places,
                _AT,
                hint="give the path of site.yaml instead of -",
            )
        )
        globs = []
    hosted, texts = _without_include(given), dict[str, source.Source]()
    root = places.root
    assert isinstance(root.value, dict), "it has tenants"
    values = {**root.value, tree.TENANTS: hosted.value}
    children = {**root.children, tree.TENANTS: hosted}
    made.places = tree.SourceMap(
        places.source,
        tree.Node(root.line, root.column, values, children, root.keys, root.weight),
        texts,
    )
    reader = _Reader(places, made, hosted, texts)
    for where, path in _files(globs, folder or Path(), places, made):
        if not reader.take(where, path):
            break
    return made


def _without_include(given: tree.Node) -> tree.Node:
    """The tenants of site.yaml itself, as a mapping of its own: others are to come into it."""
    assert isinstance(given.value, dict), "the caller has looked"
    values = {name: value for name, value in given.value.items() if name != KEY}
    children = {name: node for name, node in given.children.items() if name != KEY}
    keys = {name: place for name, place in given.keys.items() if name != KEY}
    return tree.Node(
        given.line, given.column, values, children, keys, given.weight, given.alias_of
    )


# -- which files ------------------------------------------------------------------------------


def _globs(value: object, places: tree.SourceMap, made: Included) -> list[_Place]:
    """Each glob with its place."""
    if isinstance(value, str):
        return [(_AT, value)]
    if isinstance(value, list) and value:
        found = [((*_AT, number), each) for number, each in enumerate(value)]
        if all(isinstance(each, str) for _, each in found):
            return found
    made.problems.append(
        _told(
            "wrong-type",
            "tenants.include must be a glob or a list of globs",
            places,
            _AT,
            hint="for example tenants.d/*.yaml; a tenant cannot be called include",
        )
    )
    return []


def _files(
    globs: list[_Place], folder: Path, places: tree.SourceMap, made: Included
) -> Iterator[tuple[tree.Path, str]]:
    """Every file once, in the order of the globs and of their names."""
    seen: set[str] = set()
    walk = _Walk()
    for where, pattern in globs:
        # Path.glob() takes no pattern from the root, and hidden files for others.
        found = walk.find((Path(glob.escape(str(folder))) / pattern).parts)
        for said in walk.faults():
            made.problems.append(_told("include-unreadable", said, places, where))
        if walk.folders > MOST_FILES:
            made.problems.append(
                _told(
                    "too-many-files",
                    f"tenants.include looks into more than {MOST_FILES:,} folders",
                    places,
                    where,
                    hint="begin ** at a folder that has nothing but tenants in it",
                )
            )
            return
        if not found:
            made.problems.append(
                _told(
                    "include-nothing",
                    f"no file matches {sentences.shown(pattern)}",
                    places,
                    where,
                    hint=f"globs begin at the folder of site.yaml, {folder.absolute()}",
                )
            )
        new = sorted(set(found) - seen)
        seen.update(new)
        if len(seen) > MOST_FILES:
            made.problems.append(
                _told(
                    "too-many-files",
                    f"tenants.include names {len(seen):,} files, and may name {MOST_FILES:,}",
                    places,
                    where,
                    hint="put several tenants into one file, or use one .jsonl for all",
                )
            )
            return
        yield from ((where, path) for path in new)


@dataclass(slots=True)
class _Walk:
    """Finds files by glob; ``**`` are all folders below, but hidden ones and links to others.

    A link may lead back to where it stands. What ``glob`` finds by itself ends after one folder,
    or never, and says nothing of a folder that it may not read.
    """

    folders: int = 0
    refused: list[OSError] = field(default_factory=list)

    def find(self, parts: tuple[str, ...]) -> list[str]:
        """The files that match a glob, taken apart at its slashes."""
        if _BELOW not in parts:
            return glob.glob(str(Path(*parts)))  # noqa: PTH207
        place = parts.index(_BELOW)
        rest = tuple(itertools.dropwhile(_BELOW.__eq__, parts[place:])) or ("*",)
        found = []
        for top in glob.glob(str(Path(*parts[:place]))):  # noqa: PTH207
            for folder in self._below(top):
                found += self.find((*Path(glob.escape(folder)).parts, *rest))
        return [each for each in found if not Path(each).is_dir()]

    def _below(self, top: str) -> Iterator[str]:
        """A folder and all below it, until they are too many."""
        for folder, names, _ in os.walk(top, onerror=self.refused.append):
            self.folders += 1
            if self.folders > MOST_FILES:
                return
            names[:] = [name for name in names if not name.startswith(".")]
            yield folder

    def faults(self) -> Iterator[str]:
        """What kept it from looking, each once."""
        while self.refused:
            error = self.refused.pop()
            yield f"{error.filename} cannot be read: {error.strerror or error}"


def _told(
    kind: str, message: str, places: tree.SourceMap, path: tree.Path, *, hint: str = ""
) -> errors.Problem:
    """A Problem at the place of site.yaml that names files."""
    where = places.position(path) or places.position(_AT) or places.position(_AT[:1])
    line = places.source.line(where.line) if where else ""
    return errors.Problem(kind, message, path, position=where, hint=hint, source=line)


# -- what is in them --------------------------------------------------------------------------


@dataclass(slots=True)
class _Reader:
    """Reads one file after the other into the tenants of the site; *site* is what names them."""

    site: tree.SourceMap
    made: Included
    hosted: tree.Node
    texts: dict[str, source.Source]
    bytes_read: int = 0
    values_read: int = 0

    def take(self, where: tree.Path, path: str) -> bool:
        """Read one file; False when no other must be read."""
        places, problems = self.site, self.made.problems
        try:
            text = _bytes_of(path)
        except (OSError, ValueError) as error:
            why = (error.strerror or error) if isinstance(error, OSError) else error
            said = f"{path} cannot be read: {why}"
            problems.append(_told("include-unreadable", said, places, where))
            return len(problems) <= parse.MOST_PROBLEMS
        self.bytes_read += len(text)
        if self.bytes_read > MOST_BYTES:
            said = f"the included files have more than {MOST_BYTES:,} bytes together"
            problems.append(_told("file-too-large", said, places, where))
            return False
        is_json = path.endswith(JSON_LINES)
        most_bytes = MOST_BYTES if is_json else source.MOST_BYTES
        read, bad = source.read_source(text, path, most_bytes=most_bytes)
        self.made.bad_text += bad
        if read.text or not bad:
            self._build(read, is_json=is_json)
        if self.values_read > MOST_VALUES:
            said = f"the included files have more than {MOST_VALUES:,} keys and values together"
            problems.append(_told("too-many-values", said, places, where))
            return False
        return len(problems) + len(self.made.bad_text) <= parse.MOST_PROBLEMS

    def _build(self, read: source.Source, *, is_json: bool) -> None:
        if is_json:
            root, found = jsonl.build(
                read, most_values=MOST_VALUES, most_problems=parse.MOST_PROBLEMS
            )
        else:
            root, found = parse.build(read)
        self.made.problems += found
        if root is None:
            return
        self.values_read += root.weight
        if isinstance(root.value, dict) and (root.value or found):
            self._add(read, root)
            return
        self.made.problems.append(
            errors.Problem(
                "wrong-type" if root.value else "empty",
                "an included file must be a mapping of names to tenants"
                if root.value
                else "this file has no tenants",
                position=errors.Position(read.file, root.line + 1, root.column + 1),
                hint="name: {fqdn: ..., numbers: [...]}, as under tenants in site.yaml",
                source=read.line(root.line + 1),
            )
        )

    def _add(self, read: source.Source, root: tree.Node) -> None:
        """Put the tenants of one file beside those that are there."""
        values, children, keys = self.hosted.value, self.hosted.children, self.hosted.keys
        assert isinstance(values, dict), "made by _without_include"
        assert isinstance(children, dict), "made by _without_include"
        assert isinstance(keys, dict), "made by _without_include"
        for name, node in root.children.items():
            place = root.keys[str(name)]
            if name == KEY or name in values:
                self.made.problems.append(self._repeated(read, str(name), place))
                continue
            values[name], children[name], keys[name] = node.value, node, place
            self.texts[str(name)] = read

    def _repeated(self, read: source.Source, name: str, place: tuple[int, int]) -> errors.Problem:
        where = errors.Position(read.file, place[0] + 1, place[1] + 1)
        line = read.line(where.line)
        if name == KEY:
            return errors.Problem(
                "include-within",
                "an included file cannot include others, and no tenant is called include",
                position=where,
                hint="list all globs under tenants.include of site.yaml",
                source=line,
            )
        first = self.made.places.key_position((tree.TENANTS, name))
        return errors.Problem(
            "tenant-twice",
            f"the tenant {sentences.shown(name)} is given a second time",
            position=where,
            hint=f"it was given in {first}; keep one of the two",
            source=line,
        )


def _bytes_of(path: str) -> bytes:
    """The whole file; one byte more than is allowed where it is longer.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no file, so that reading might wait for ever.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise ValueError("it is not a file")
    most = MOST_BYTES if path.endswith(JSON_LINES) else source.MOST_BYTES
    with Path(path).open("rb") as file:
        return file.read(most + 1)
