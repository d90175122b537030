"""The values of site.yaml with the place of each: what the parser leaves and the model reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator import errors
from orchestrator.site import source

Path = tuple[str | int, ...]

TENANTS = "tenants"
"""The one part of a site that may stand in several files."""

_Text = source.Source

# Scalars are most of a site; none of them needs dictionaries of its own.
_NO_CHILDREN: Mapping[str | int, Node] = MappingProxyType({})
_NO_KEYS: Mapping[str, tuple[int, int]] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class Node:
    """One value of the file.

    Attributes:
        line: Line of its first character, from 0 as the parser counts.
        column: Column of its first character, from 0.
        value: What the model gets: text, None, a dict or a list.
        children: The nodes below, by key or index.
        keys: Line and column of each key of a mapping, from 0.
        weight: Values in here, itself and what aliases stand for included.
        alias_of: For the use of an alias, the line (from 0) of what it stands for.
    """

    line: int
    column: int
    value: object = None
    children: Mapping[str | int, Node] = field(default_factory=lambda: _NO_CHILDREN)
    keys: Mapping[str, tuple[int, int]] = field(default_factory=lambda: _NO_KEYS)
    weight: int = 1
    alias_of: int | None = None


@dataclass(frozen=True, slots=True)
class SourceMap:
    """Where the values and keys of a site stand in its files.

    Attributes:
        source: The text of site.yaml.
        root: Its values, and those of included files where they belong.
        included: The texts in which tenants stand that are not in site.yaml, by their names.
    """

    source: _Text
    root: Node
    included: Mapping[str, _Text] = field(default_factory=lambda: MappingProxyType({}))

    def source_of(self, path: Path) -> _Text:
        """The text in which the value at *path* stands."""
        if len(path) < 2 or path[0] != TENANTS:
            return self.source
        return self.included.get(str(path[1]), self.source)

    def find(self, path: Path) -> tuple[Path, Node]:
        """The longest beginning of *path* that the file has, and its node.

        The use of an alias has no children, so the search ends there.
        """
        node = self.root
        for length, key in enumerate(path):
            below = node.children.get(key)
            if below is None:
                return path[:length], node
            node = below
        return path, node

    def position(self, path: Path) -> errors.Position | None:
        """The place of the value at *path*; None when the file has no such value."""
        found, node = self.find(path)
        if found != path and node.alias_of is None:
            return None
        return self._place(path, node.line, node.column)

    def key_position(self, path: Path) -> errors.Position | None:
        """The place of the last key of *path*; None when it is no key of the file."""
        found, parent = self.find(path[:-1])
        if parent.alias_of is not None:
            return self._place(path, parent.line, parent.column)
        key = path[-1] if path else None
        if found != path[:-1] or not isinstance(key, str) or key not in parent.keys:
            return None
        return self._place(path, *parent.keys[key])

    def first_key_position(self, path: Path) -> errors.Position | None:
        """The place of the first key of the mapping at *path*, or else of its value."""
        found, node = self.find(path)
        if found != path or node.alias_of is not None or not node.keys:
            return self.position(path)
        key, place = next(iter(node.keys.items()))
        return self._place((*path, key), *place)

    def _place(self, path: Path, line: int, column: int) -> errors.Position:
        return errors.Position(self.source_of(path).file, line + 1, column + 1)
