"""From the words of an engine back to the place in site.yaml that they come from.

An engine complains about a line of a rendered file, or names an address or a file. Whatever of
site.yaml stands in there as a whole word is a candidate: the longest one is most likely the
cause, of equals the one that stands first. What is too short to mean anything does not count.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator import errors
from orchestrator.site import tree

_UNREAD: tuple[tree.Path, ...] = (("site",), ("engines", "accept_risk"))
"""What is for people, and no engine reads."""
_SHORTEST = 4
_PIECE = re.compile(r"[^\s,;:=@<>()\[\]{}\"']+")
_IN_A_WORD = r"[\w.+-]"


def find_cause(said: str, places: tree.SourceMap) -> tuple[errors.Position, tree.Path] | None:
    """Where in site.yaml *said* most likely comes from, and its path; None when nothing does."""
    best, cause = 0, None
    for path, node in _scalars((), places.root):
        if path in _UNREAD:
            continue
        lengths = (len(each) for each in _pieces(node.value) if _stands_in(each, said))
        length = max(lengths, default=0)
        position = places.position(path)
        if length > best and position is not None:
            best, cause = length, (position, path)
    return cause


def _scalars(path: tree.Path, node: tree.Node) -> Iterator[tuple[tree.Path, tree.Node]]:
    if isinstance(node.value, str):
        yield path, node
    for key, child in node.children.items():
        yield from _scalars((*path, key), child)


def _pieces(value: object) -> Iterator[str]:
    """The value itself, and the words it is made of."""
    text = str(value)
    yield text
    for match in _PIECE.finditer(text):
        yield match[0]
        yield from match[0].split("-")


def _stands_in(piece: str, said: str) -> bool:
    if len(piece) < _SHORTEST or piece not in said:
        return False
    return bool(re.search(rf"(?<!{_IN_A_WORD}){re.escape(piece)}(?!{_IN_A_WORD})", said))
