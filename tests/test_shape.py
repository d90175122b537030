"""The shape of the house: short functions, short files, and a map that is true."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
PACKAGES = ("orchestrator", "rtpengine_ng")
SOURCES = (*PACKAGES, "tests", "bench")
EXAMPLES = sorted((CHECKOUT / "examples").iterdir())

FUNCTION_LINES = 60
FILE_LINES = 400
# The model is one thing: everything site.yaml may say (STYLE section 8.6).
ROOMY_FILES = {"orchestrator/site/model.py": 600}


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((CHECKOUT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{name_of(path)}:{node.lineno}: {node.name} has {lines} lines"


def mapped_modules(readme: str) -> set[str]:
    """The paths the README's map names, read from its indentation: two spaces are one floor."""
    block = re.search(r"^## The house\n.*?^```\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert block, "README.md has no drawing under '## The house'"
    paths: set[str] = set()
    folders: list[str] = []
    for line in block.group(1).splitlines():
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        depth = (len(line) - len(line.lstrip())) // 2
        if word.endswith("/"):
            folders[depth:] = [word]
        elif word.endswith(".py"):
            paths.add("".join(folders[:depth]) + word)
    return paths


def test_functions_are_at_most_60_lines_long() -> None:
    offenders = [each for path in python_files(*SOURCES) for each in long_functions(path)]

    assert not offenders, "\n".join(offenders)


def test_files_are_at_most_400_lines_long() -> None:
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in python_files(*SOURCES)}
    offenders = [
        f"{name} has {lines} lines"
        for name, lines in sizes.items()
        if lines > ROOMY_FILES.get(name, FILE_LINES)
    ]

    assert not offenders, "\n".join(offenders)


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their name alone, and would collect none of them."""
    seen = Counter(path.name for path in python_files("tests"))

    # Each folder may have a conftest.py; pytest keeps those apart.
    assert [name for name, count in seen.items() if count > 1 and name != "conftest.py"] == []


def test_every_module_stands_in_the_readme_map_and_nothing_else_does() -> None:
    modules = {name_of(path) for path in python_files(*PACKAGES)}
    packages = {name for name in modules if name.endswith(("__init__.py", "__main__.py"))}
    mapped = mapped_modules((CHECKOUT / "README.md").read_text())

    assert not modules - packages - mapped, "not in the map"
    assert not mapped - modules, "in the map only"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name_of(path)
        for path in python_files(*PACKAGES)
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert not silent


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_has_golden_files(example: Path) -> None:
    assert (example / "site.yaml").is_file()
    assert any((CHECKOUT / "tests" / "golden" / example.name).rglob("*"))
