"""From the text of a YAML file to a tree of values, each with its place.

The only door to yaml. The parser's events are read one by one into a tree of ours, so neither
depth nor aliases can hurt: nothing here recurses, and what a file may cost is bounded before it
is paid (facts/reliability.md 2.B, 18 to 24). Every scalar stays the text that was written; the
model decides what it means (facts/ux.md section 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

from orchestrator import errors
from orchestrator.site import sentences, source, syntax, tree

MOST_DEPTH = 32
"""Levels of nesting; a site needs six."""
_TOO_DEEP = f"the site is nested more than {MOST_DEPTH} deep"
MOST_VALUES = 250_000
"""Keys and values in a file, what aliases stand for included."""
MOST_ALIASED = 10_000
"""Values that aliases stand for, all uses together."""
MOST_ALIASES = 64
"""Uses of aliases in a file."""
MOST_PROBLEMS = 1_000
"""Problems listed; the others are counted in a last one."""

_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


def build(
    read: source.Source, *, most_values: int = MOST_VALUES
) -> tuple[tree.Node | None, list[errors.Problem]]:
    """Parse the text; the tree is None when it is not complete.

    A file that is empty is a tree of nothing: its value is None.
    """
    builder = _Builder(read, most_values)
    try:
        for event in yaml.parse(read.text, Loader=_Loader):
            if not builder.take(event):
                break
        else:
            builder.complete = True
    except yaml.YAMLError as error:
        builder.problems.append(_syntax_problem(read, error))
        builder.complete = False
    if not builder.complete:
        return None, builder.problems
    return builder.root or tree.Node(0, 0), builder.problems


def too_large(read: source.Source, most: int = MOST_VALUES) -> errors.Problem:
    """Say that the file has more values than it may have."""
    return errors.Problem(
        "too-many-values",
        f"the file has more than {most:,} keys and values",
        position=errors.Position(read.file, 1, 1),
        hint="use fewer aliases, include files of tenants, or spread the trunks over sites",
    )


_At = tuple[int, int]
"""Line and column, from 0 as the parser counts."""


def _at(event: yaml.Event) -> _At:
    mark = event.start_mark
    assert mark is not None, "the parser marks every event"
    return mark.line, mark.column


@dataclass(slots=True)
class _Open:
    """A mapping or list that has begun."""

    node: tree.Node
    anchor: str | None
    is_map: bool
    values_before: int
    children: dict[str | int, tree.Node] = field(default_factory=dict)
    keys: dict[str, _At] = field(default_factory=dict)
    expects_key: bool = True
    key: str | None = None
    """The key that waits for its value; None when it was refused and the value is dropped."""


@dataclass(slots=True)
class _Builder:
    """The tree so far; takes one event after the other."""

    source: source.Source
    most_values: int
    problems: list[errors.Problem] = field(default_factory=list)
    root: tree.Node | None = None
    complete: bool = False
    gave_up: bool = False
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tree.Node | None] = field(default_factory=dict)
    aliases: int = 0
    aliased: int = 0
    values: int = 0

    def take(self, event: yaml.Event) -> bool:
        """Take one event; False when the rest of the file must not be read."""
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.CollectionStartEvent):
            if not self._begin(event):
                return False
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event)
        elif isinstance(event, yaml.DocumentEndEvent):
            self.complete = True
        elif isinstance(event, yaml.DocumentStartEvent) and self.complete:
            self.report(
                _at(event),
                "several-documents",
                "a second YAML document begins here, a site is one",
                hint="remove the line ---, or keep the other site in a file of its own",
            )
            return False
        if self.values > self.most_values:
            self.problems.append(too_large(self.source, self.most_values))
            return False
        return not self.gave_up and len(self.problems) <= MOST_PROBLEMS

    def report(self, at: _At, kind: str, message: str, *, hint: str = "") -> None:
        """Note a Problem at a place of the parser."""
        self.problems.append(_problem(self.source, at, kind, message, hint))

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        bad = source.find_bad_in_value(event.value)
        if bad:
            self.report(
                _at(event),
                "bad-character",
                f"the {source.name_of(bad)} may not stand in this text",
                hint="write it on one line, without escapes such as \\n",
            )
        elif event.style in ("'", '"'):
            self._check_quote(event)
        if event.tag is not None:
            self._refuse_tag(event)
        text = None if not event.style and event.value in _NULLS else event.value
        if self._expects_key():
            self._take_key(event, text)
            return
        node = tree.Node(*_at(event), text)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self._place(node)

    def _check_quote(self, event: yaml.ScalarEvent) -> None:
        """A quote that was forgotten is closed by the next one, lines below."""
        end = event.end_mark
        if end is not None and end.line != _at(event)[0]:
            self.report(
                _at(event),
                "open-quote",
                f"this quote is not closed before line {end.line + 1}",
                hint="text in quotes ends on the line it begins on",
            )

    def _take_key(self, event: yaml.ScalarEvent, key: str | None) -> None:
        parent = self.stack[-1]
        parent.expects_key = False
        parent.key = None
        self.values += 1
        if key is None:
            self.report(_at(event), "bad-key", "a key is missing before the colon")
        elif key == "<<" and not event.style:
            self.report(
                _at(event),
                "merge-key",
                "the merge key << is not supported",
                hint="write the keys out; an alias may stand for a whole value",
            )
        elif key in parent.keys:
            first = parent.keys[key][0] + 1
            self.report(
                _at(event),
                "duplicate-key",
                f"the key {sentences.shown(key)} stands here twice",
                hint=f"it was given in line {first}; keep one of the two",
            )
        else:
            parent.key = key
            parent.keys[key] = _at(event)

    def _begin(self, event: yaml.CollectionStartEvent) -> bool:
        at = _at(event)
        if len(self.stack) == MOST_DEPTH:
            self.report(at, "too-deep", _TOO_DEEP)
            return False
        if self._expects_key():
            self.report(
                at,
                "bad-key",
                "a key is text, and here a list or a mapping begins",
                hint="braces and brackets that are meant as text go into quotes",
            )
            return False
        if event.tag is not None:
            self._refuse_tag(event)
        is_map = isinstance(event, yaml.MappingStartEvent)
        node = tree.Node(*at, {} if is_map else [])
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        before = self.values
        self._place(node)
        opened = _Open(node, event.anchor, is_map, before)
        node.children, node.keys = opened.children, opened.keys
        self.stack.append(opened)
        return True

    def _end(self) -> None:
        ended = self.stack.pop()
        ended.node.weight = self.values - ended.values_before
        if ended.anchor is not None:
            self.anchors[ended.anchor] = ended.node

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        at = _at(event)
        self.aliases += 1
        if self.aliases > MOST_ALIASES:
            self._give_up(at, f"more than {MOST_ALIASES} aliases are used")
            return
        if self._expects_key():
            self.stack[-1].expects_key = False
            self.stack[-1].key = None
            self.report(at, "bad-key", "a key is text, and this is an alias")
            return
        name = event.anchor or ""
        target = self.anchors.get(name)
        node = tree.Node(*at)
        if target is None:
            inside = name in self.anchors
            self.report(
                at,
                "bad-alias",
                f"the alias *{name[:60]} stands for "
                + ("the value it is in" if inside else "nothing that was named before"),
                hint="" if inside else f'text that begins with * goes into quotes: "*{name[:60]}"',
            )
        else:
            self.aliased += target.weight
            if self.aliased > MOST_ALIASED:
                self._give_up(at, f"the aliases stand for more than {MOST_ALIASED:,} values")
                return
            node.value, node.weight, node.alias_of = target.value, target.weight, target.line
        self._place(node)

    def _give_up(self, at: _At, message: str) -> None:
        self.gave_up = True
        self.report(at, "too-many-aliases", message, hint="write the values out")

    def _expects_key(self) -> bool:
        return bool(self.stack) and self.stack[-1].is_map and self.stack[-1].expects_key

    def _place(self, node: tree.Node) -> None:
        """Put *node* where the open mapping or list, or the document, waits for a value."""
        self.values += node.weight
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        container = parent.node.value
        if isinstance(container, list):
            parent.children[len(container)] = node
            container.append(node.value)
        elif isinstance(container, dict):
            parent.expects_key = True
            if parent.key is not None:
                parent.children[parent.key] = node
                container[parent.key] = node.value

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self.report(
            _at(event),
            "tag",
            f"the YAML tag {sentences.shown(str(event.tag))} is not used in a site",
            hint="text that begins with ! goes into quotes",
        )


def _problem(read: source.Source, at: _At, kind: str, message: str, hint: str) -> errors.Problem:
    place = errors.Position(read.file, at[0] + 1, at[1] + 1)
    return errors.Problem(kind, message, position=place, hint=hint, source=read.line(place.line))


def _syntax_problem(read: source.Source, error: yaml.YAMLError) -> errors.Problem:
    """The parser's complaint in words of ours, where the operator must look."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        top = errors.Position(read.file, 1, 1)
        return errors.Problem("yaml", f"this is not YAML: {error}".splitlines()[0], position=top)
    mark = error.problem_mark
    begun = error.context_mark
    if "maximum nesting depth" in (error.problem or ""):
        # libyaml from 0.2.6 has a limit of its own, and reads ahead of us until it is reached.
        return _problem(read, (mark.line, mark.column), "too-deep", _TOO_DEEP, "")
    after = read.line(mark.line + 1)[mark.column : mark.column + 1]
    words = syntax.explain(error.problem or "", error.context or "", after)
    if words.at_beginning and begun is not None:
        mark = begun
    return _problem(read, (mark.line, mark.column), "yaml", words.message, words.hint)
