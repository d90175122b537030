"""One registry of ids: what is raised is in it, what is in it is raised; its examples are YAML."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from orchestrator.site import problems

CHECKOUT = Path(__file__).parents[2]
PLACES = {"Problem": 0, "report": 1, "_problem": 2, "_told": 0}
"""Where the calls that make a Problem take its id."""
INNER = {"more"}
"""Ids that never leave the loader: only their places are counted."""


def constants(node: ast.expr | None) -> Iterator[str]:
    """The texts an expression can be; nothing when it is a variable."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


def _returns_said(node: ast.FunctionDef) -> bool:
    return node.returns is not None and ast.unparse(node.returns) == "_Said"


def ids_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = getattr(function, "attr", None) or getattr(function, "id", "")
            place = PLACES.get(name)
            named = [each.value for each in node.keywords if each.arg == "id"]
            if place is not None and (named or len(node.args) > place):
                yield from constants(named[0] if named else node.args[place])
        # The sentences of the model return (id, message, hint).
        if isinstance(node, ast.FunctionDef) and _returns_said(node):
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and isinstance(each.value, ast.Tuple):
                    yield from constants(each.value.elts[0])


def raised() -> dict[str, set[str]]:
    """Every id with the modules that raise it."""
    found: dict[str, set[str]] = {}
    for path in sorted((CHECKOUT / "orchestrator").rglob("*.py")):
        if "lab" not in path.relative_to(CHECKOUT).parts:
            for each in ids_in(ast.parse(path.read_text())):
                found.setdefault(each, set()).add(path.name)
    return found


def test_every_id_that_is_raised_is_registered():
    missing = {name: where for name, where in raised().items() if name not in problems.KINDS}

    assert set(missing) <= INNER, "add them to orchestrator/site/problems_of_*.py"


def test_every_registered_id_is_raised():
    assert set(problems.KINDS) <= set(raised())


def test_no_id_is_hidden_from_the_search():
    """A Problem whose id is a variable is made where the search sees its id in another way."""
    hidden = set()
    for path in sorted((CHECKOUT / "orchestrator").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("errors.Problem"):
                named = [each.value for each in node.keywords if each.arg == "id"]
                first = (named or node.args)[0]
                if not list(constants(first)):
                    hidden.add(path.name)

    # parse.py: ids come by report(); jsonl.py and include.py: by _told(); sentences.py: by its
    # functions that return _Said.
    assert hidden <= {"parse.py", "jsonl.py", "include.py", "sentences.py"}


@pytest.mark.parametrize("name", problems.KINDS)
def test_every_kind_says_what_why_and_what_to_do(name):
    kind = problems.KINDS[name]

    for sentence in (kind.means, kind.why, kind.do):
        assert sentence.endswith((".", "...", "...."))
    if kind.example and "*" not in kind.example:
        assert isinstance(yaml.safe_load(kind.example), dict)


def test_no_kind_is_told_twice():
    assert sum(len(kinds) for kinds in problems.FLOORS.values()) == len(problems.KINDS)
