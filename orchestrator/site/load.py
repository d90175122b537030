"""From the bytes of site.yaml to a Site, with file, line and column for every Problem.

Stages: text (``source``), YAML (``parse``), files of tenants (``include``), model (``sentences``),
rules (``rules``). Problems of all stages that could run are reported together, in the order of
the files.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydantic

from orchestrator import errors
from orchestrator.site import include, model, parse, rules, sentences, source, tree

_RARELY = 100_000
"""Objects more than there were, until the garbage collector looks through those of late."""


def load_site(text: bytes, file: str) -> model.Site:
    """Read a site from the bytes of a file; *file* is the name to show.

    Raises:
        errors.SiteError: The bytes are no site; with every Problem, sorted by place.
    """
    return _load(source.read_source(text, file))[0]


def read_site(path: str) -> tuple[model.Site, tree.SourceMap]:
    """Read the site in the file *path*; ``-`` is standard input.

    Raises:
        errors.HostError: The file cannot be read.
        errors.SiteError: It is no site.
    """
    if path == "-":
        return _load(source.read_source(sys.stdin.buffer.read(source.MOST_BYTES + 1), "<stdin>"))
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path as the operator wrote it
            text = file.read(source.MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise errors.HostError(f"{path} cannot be read: {why}", hint=_hint_for(error)) from error
    read = _load(source.read_source(text, path), folder=Path(path).parent)
    # It lives as long as the process: of a million numbers, whoever comes next searches none.
    gc.freeze()
    # Nor is there much to collect in what follows, and it makes many objects of a large site.
    gc.set_threshold(_RARELY)
    return read


def read_text(text: bytes, name: str) -> tuple[model.Site, tree.SourceMap]:
    """Read the site in *text* as :func:`read_site` does, its places told as in file *name*.

    What we wrote down ourselves may be as large as all files of a site together.
    """
    read = source.read_source(text, name, most_bytes=include.MOST_BYTES)
    return _load(read, most_values=include.MOST_VALUES)


def _hint_for(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "sbcctl init writes one to begin with"
    if isinstance(error, PermissionError):
        return "run sbcctl as a user who may read it"
    return ""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector still: it would search the growing tree again and again.

    That halves the time for a large site. There are no cycles to collect.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_Read = tuple[source.Source, tuple[errors.Problem, ...]]


@_uncollected()
def _load(
    given: _Read, *, folder: Path | None = None, most_values: int = parse.MOST_VALUES
) -> tuple[model.Site, tree.SourceMap]:
    """Read a site; *folder* is where globs begin, and without one nothing can be included."""
    read, problems = given
    if problems and not read.text:
        raise errors.SiteError(problems)
    try:
        root, found = parse.build(read, most_values=most_values)
        made = include.read_tenants(tree.SourceMap(read, root or tree.Node(0, 0)), folder)
        site, wrong = _check(made.places) if root is not None else (None, ())
    except (RecursionError, MemoryError) as error:
        raise errors.SiteError((parse.too_large(read, most_values),)) from error
    texts = [*problems, *made.bad_text]
    later = source.without_echoes(texts, [*found, *made.problems, *wrong])
    if texts or later or site is None:
        raise errors.SiteError(
            source.in_order([*texts, *later], first=read.file, most=parse.MOST_PROBLEMS)
        )
    return site, made.places


def _check(places: tree.SourceMap) -> tuple[model.Site | None, tuple[errors.Problem, ...]]:
    """The model's word, then the rules'."""
    if too_many := rules.find_excess(places.root.value):
        return None, sentences.place(too_many, places)
    try:
        site = model.Site.model_validate(places.root.value)
    except pydantic.ValidationError as error:
        return None, sentences.problems_of(error, places, most=parse.MOST_PROBLEMS)
    return site, sentences.place(rules.find_problems(site), places)
