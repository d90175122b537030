"""Run the tests in parts side by side: they mostly wait, and so a few processes take turns well.

    parts.py [--jobs N] [WORD...]      WORD as for pytest: a path, -k EXPRESSION, -m EXPRESSION

pytest is asked once which tests there are. A part is the tests of one file on one lane
(tests/lanes.py), so that what they share is set up once and nobody meets an address that another
test of that file has taken; the many that take no time go together. Long parts begin first; tests
marked ``alone`` come last, one part at a time, because they measure time.

The output of a part is shown when it went wrong, whole. The last line counts the tests. Exit code
0 only when every part was green and every test that was there at first was run exactly once;
130 after Ctrl-C, which ends every part in order (a second one ends them at once).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PART = Path(__file__).with_name("part.py")
TOGETHER = 250
"""Tests that take no time and share a process."""
PER_CPU = 2
"""Parts at once for each processor."""
PATIENCE = 20.0
"""Seconds a part has to end in order when it is interrupted."""
TIED = ("setpriv", "--pdeathsig", "INT")
"""What runs behind these words is interrupted when we end, however that comes."""


@dataclass(frozen=True, slots=True)
class Test:
    """A test as pytest collects it."""

    id: str
    file: str
    lane: str
    seconds: float
    alone: bool


@dataclass(frozen=True, slots=True)
class Part:
    """Tests that one process runs."""

    name: str
    tests: tuple[Test, ...]

    @property
    def seconds(self) -> float:
        """What the marks of its tests add up to."""
        return sum(test.seconds for test in self.tests)

    @property
    def alone(self) -> bool:
        """Whether nothing may run beside it."""
        return any(test.alone for test in self.tests)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a part went: pytest's exit code, and the line for every phase of every test."""

    part: Part
    code: int
    told: tuple[dict[str, str], ...]
    took: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the tests that were there."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    skipped: tuple[str, ...]
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    red: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether every test was run exactly once and nothing went wrong."""
        return not (self.failed or self.lost or self.twice or self.red)


def cut(tests: Iterable[Test]) -> list[Part]:
    """Every test in exactly one part; those that may run beside others first, longest first."""
    shared: dict[tuple[str, str, bool], list[Test]] = {}
    quick: dict[str, list[Test]] = {}
    for test in tests:
        if test.seconds or test.lane or test.alone:
            shared.setdefault((test.file, test.lane, test.alone), []).append(test)
        else:
            quick.setdefault(test.file, []).append(test)
    parts = [
        Part(f"{file} on {lane}" if lane else file, tuple(some))
        for (file, lane, _), some in shared.items()
    ]
    pool: list[Test] = []
    for some in quick.values():
        if len(pool) + len(some) > TOGETHER and pool:
            parts.append(Part("tests that take no time", tuple(pool)))
            pool = []
        pool += some
    if pool:
        parts.append(Part("tests that take no time", tuple(pool)))
    return sorted(parts, key=lambda part: (part.alone, -part.seconds, part.name))


def judge(tests: Iterable[Test], ran: Iterable[Ran]) -> Verdict:
    """Hold what was told against the tests that were there, and against the parts' exit codes."""
    phases: dict[str, list[str]] = {}
    for each in ran:
        for line in each.told:
            phases.setdefault(line["id"], []).append(f"{line['when']} {line['outcome']}")
    ids = [test.id for test in tests]
    whole = {one for one, seen in phases.items() if any(s.startswith("teardown ") for s in seen)}
    failed = {one for one, seen in phases.items() if any(s.endswith(" failed") for s in seen)}
    skipped = {
        one for one, seen in phases.items() if any(s.endswith(" skipped") for s in seen)
    } - failed
    runs = {one: sum(s.startswith("setup ") for s in seen) for one, seen in phases.items()}
    doubled = {one for one, count in Counter(ids).items() if count > 1}
    return Verdict(
        passed=tuple(one for one in ids if one in whole - failed - skipped),
        failed=tuple(one for one in ids if one in failed),
        skipped=tuple(one for one in ids if one in skipped & whole),
        lost=tuple(one for one in ids if one not in whole | failed),
        twice=tuple(sorted(doubled | {one for one, count in runs.items() if count > 1})),
        red=tuple(each.part.name for each in ran if each.code),
    )


class Running:
    """A part that runs. Its output, its answers and its temporary files have a folder."""

    def __init__(self, part: Part, folder: Path) -> None:
        self.part = part
        self._folder = folder
        self._began = time.monotonic()
        folder.mkdir()
        (folder / "ids").write_text(json.dumps([test.id for test in part.tests]))
        (folder / "told").touch()
        files = dict.fromkeys(test.file for test in part.tests)
        words = ("--ids", str(folder / "ids"), f"--basetemp={folder}/t", "-p", "no:cacheprovider")
        with (folder / "out").open("wb") as out:
            self._child = start(folder / "told", *words, *files, out=out, temporary=folder)

    def ended(self) -> Ran | None:
        """How it went; None while it runs."""
        code = self._child.poll()
        if code is None:
            return None
        return Ran(
            self.part, code, read_told(self._folder / "told"), time.monotonic() - self._began
        )

    def output(self) -> str:
        """What it printed."""
        return (self._folder / "out").read_text(encoding="utf-8", errors="replace")

    def forget(self) -> None:
        """Remove its files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def interrupt(self, number: signal.Signals) -> None:
        """Send a signal to its processes, those that it started included."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)

    def wait(self) -> None:
        """Wait for its end."""
        self._child.wait()


def start(told: Path, *words: str, out: object, temporary: Path) -> subprocess.Popen[bytes]:
    """Start part.py. It has a session of its own: Ctrl-C reaches it through us, and once."""
    return subprocess.Popen(
        [*TIED, sys.executable, str(PART), str(told), *words],
        stdin=subprocess.DEVNULL,
        stdout=out,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )


def read_told(path: Path) -> tuple[dict[str, str], ...]:
    """The lines that were told; one that was cut off by a death is none."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return tuple(found)


def look(words: list[str], folder: Path) -> list[Test]:
    """Ask pytest which tests there are; when it cannot say, say why and end with its exit code."""
    told, out = folder / "told", folder / "out"
    told.touch()
    with out.open("wb") as printed:
        code = start(told, *words, out=printed, temporary=folder).wait()
    if code:
        say(out.read_text(encoding="utf-8", errors="replace"))
        say(f"0 passed: pytest could not collect the tests, exit code {code}")
        sys.exit(code)
    return [Test(**line) for line in read_told(told)]  # type: ignore[arg-type]


def run(parts: list[Part], jobs: int, folder: Path) -> list[Ran]:
    """Run all parts, *jobs* at once, and say how each went."""
    waiting, running, ran = list(enumerate(parts)), list[Running](), list[Ran]()
    try:
        while waiting or running:
            while waiting and has_place(waiting[0][1], running, jobs):
                number, part = waiting.pop(0)
                running.append(Running(part, folder / str(number)))
            time.sleep(0.05)
            for one in list(running):
                if result := one.ended():
                    running.remove(one)
                    ran.append(result)
                    report(result, one.output(), len(parts) - len(ran))
                    one.forget()
    except KeyboardInterrupt:
        end(running)
        raise
    return ran


def has_place(part: Part, running: list[Running], jobs: int) -> bool:
    """Whether a part may begin beside those that run."""
    if part.alone:
        return not running
    return len(running) < jobs and not any(one.part.alone for one in running)


def end(running: list[Running]) -> None:
    """End what runs, in order where it can; whoever cannot wait interrupts us again."""
    try:
        for number, patience in ((signal.SIGINT, PATIENCE), (signal.SIGTERM, PATIENCE / 2)):
            for one in running:
                one.interrupt(number)
            last = time.monotonic() + patience
            while time.monotonic() < last and any(one.ended() is None for one in running):
                time.sleep(0.05)
    finally:
        for one in running:
            one.interrupt(signal.SIGKILL)
            one.wait()


def report(ran: Ran, output: str, left: int) -> None:
    """One line for a part that went well; everything it printed for one that did not."""
    if ran.code:
        say(output)
    word = f"FAIL {ran.code}" if ran.code else "ok"
    count = len(ran.part.tests)
    say(f"  {word:<6} {ran.part.name:<58} {count:4d} tests {ran.took:5.0f} s, {left} parts to go")


def close(verdict: Verdict, ran: list[Ran], took: float) -> None:
    """Say which tests went wrong and which were skipped, and count them in the last line."""
    reasons = Counter(
        line["why"].removeprefix("Skipped: ")
        for each in ran
        for line in each.told
        if line["outcome"] == "skipped"
    )
    for why, count in sorted(reasons.items()):
        say(f"SKIPPED {count}: {why}")
    for word, names in (
        ("FAILED", verdict.failed),
        ("LOST", verdict.lost),
        ("TWICE", verdict.twice),
        ("RED", verdict.red),
    ):
        for name in names:
            say(f"{word} {name}")
    counts = f"{len(verdict.passed)} passed, {len(verdict.failed)} failed"
    counts += f", {len(verdict.skipped)} skipped"
    if verdict.lost or verdict.twice:
        counts += f", {len(verdict.lost)} lost, {len(verdict.twice)} run twice"
    if verdict.red:
        counts += f", {len(verdict.red)} parts red"
    say(f"{counts} in {took:.0f} s")


def say(text: str) -> None:
    """Print, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(argv: list[str]) -> int:
    """Look, cut, run, judge; returns the exit code."""
    parser = argparse.ArgumentParser(description="Run the tests in parts side by side.")
    jobs = max(2, PER_CPU * (os.cpu_count() or 1))
    parser.add_argument("--jobs", type=int, default=jobs, help=f"parts at once ({jobs})")
    asked, words = parser.parse_known_args(argv)
    # A shell's background ignores SIGINT, and programs that a test interrupts would inherit it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="parts-") as name:
            folder = Path(name)
            tests = look(words, folder)
            parts = cut(tests)
            say(f"{len(tests)} tests in {len(parts)} parts, {max(1, asked.jobs)} at once")
            ran = run(parts, max(1, asked.jobs), folder)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    verdict = judge(tests, ran)
    close(verdict, ran, time.monotonic() - began)
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
