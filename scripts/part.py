"""Run one part of the tests in this process, or look which tests there are (scripts/parts.py).

    part.py TOLD [WORD...]          look: every test that pytest collects with these words
    part.py TOLD --ids FILE [WORD...]   run: those of them whose ids are in FILE

What there is to tell goes to TOLD, a line of JSON for each test, as soon as it is known: a
process that dies has told what it knew. The exit code is pytest's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

SLOW = 10.0
"""Seconds a slow test takes when it does not say."""


class Told:
    """The file for whoever started us."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def tell(self, **words: object) -> None:
        """Write one line."""
        self._file.write(f"{json.dumps(words)}\n")


class Look:
    """A pytest plugin that tells which tests there are and runs none."""

    def __init__(self, told: Told) -> None:
        self._told = told

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Tell each test with what a schedule must know."""
        for item in items:
            spec = getattr(item, "callspec", None)
            self._told.tell(
                id=item.nodeid,
                file=item.nodeid.partition("::")[0],
                lane=spec.params.get("lane", "") if spec else "",
                seconds=_seconds(item),
                alone=item.get_closest_marker("alone") is not None,
            )


def _seconds(item: pytest.Item) -> float:
    """How long a test may take, by its marks; 0.0 for the many that take no time."""
    slow = item.get_closest_marker("slow")
    if slow:
        return float(slow.args[0] if slow.args else SLOW)
    engines = item.get_closest_marker("engine") or item.get_closest_marker("lab")
    return SLOW / 4 if engines else 0.0


class Run:
    """A pytest plugin that runs some tests only and tells how each of them went."""

    def __init__(self, told: Told, ids: set[str]) -> None:
        self._told = told
        self._ids = ids

    # First, so that fixtures which look at the session's tests see the tests of this part.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what other parts run."""
        items[:] = [item for item in items if item.nodeid in self._ids]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell one phase of one test: setup, call or teardown."""
        why = report.longrepr if report.skipped else None
        self._told.tell(
            id=report.nodeid,
            when=report.when,
            outcome=report.outcome,
            why=str(why[2]) if isinstance(why, tuple) else "",
        )


def main(argv: list[str]) -> int:
    """Look or run; returns pytest's exit code."""
    told, words = Told(Path(argv[0])), argv[1:]
    # As with `python -m pytest`: the checkout is on the path, this folder is not.
    sys.path[0] = str(Path.cwd())
    if words[:1] == ["--ids"]:
        ids = set(json.loads(Path(words[1]).read_text(encoding="utf-8")))
        return int(pytest.main(words[2:], plugins=[Run(told, ids)]))
    return int(pytest.main(["--collect-only", "-q", *words], plugins=[Look(told)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
