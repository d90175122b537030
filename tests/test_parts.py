"""`make test` runs the tests in parts: none is lost, and one that goes wrong makes it red."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
SCRIPT = CHECKOUT / "scripts" / "parts.py"

SETTINGS = """
[pytest]
addopts = --strict-markers
markers =
  slow
  alone
"""


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    """A folder of tests of our own."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "test_good.py").write_text("def test_a(): pass\n\n\ndef test_b(): pass\n")
    return folder


def command(*words: str) -> list[str]:
    return [sys.executable, str(SCRIPT), *words]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def last_line(ran: subprocess.CompletedProcess[str]) -> str:
    return ran.stdout.splitlines()[-1].rpartition(" in ")[0]


def write(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("import os, pathlib, pytest, time\n" + "\n".join(lines) + "\n")


def test_all_green_is_counted_in_the_last_line(tests: Path) -> None:
    write(
        tests,
        "test_slow.py",
        "pytestmark = pytest.mark.slow",
        "@pytest.mark.parametrize('lane', ['host', 'debian13'])",
        "def test_on(lane): pass",
        "def test_no_machine(): pytest.skip('no such machine')",
    )

    ran = run(tests)

    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.startswith("5 tests in 4 parts")
    assert "SKIPPED 1: no such machine" in ran.stdout
    assert last_line(ran) == "4 passed, 0 failed, 1 skipped"


def test_words_choose_tests(tests: Path) -> None:
    ran = run(tests, "test_good.py", "-k", "test_b")

    assert ran.returncode == 0, ran.stdout
    assert last_line(ran) == "1 passed, 0 failed, 0 skipped"


@pytest.mark.parametrize(
    ("lines", "failed"),
    [
        (("def test_bad(): assert 'reason' == 'other'",), 1),
        (
            (
                "@pytest.fixture",
                "def broken(): raise OSError('reason')",
                "def test_bad(broken): pass",
            ),
            1,
        ),
        (
            (
                "@pytest.fixture",
                "def broken():",
                "    yield",
                "    raise OSError('reason')",
                "def test_bad(broken): pass",
            ),
            1,
        ),
    ],
    ids=["call", "setup", "teardown"],
)
def test_a_failing_part_makes_it_red_and_is_shown_whole(
    tests: Path, lines: tuple[str, ...], failed: int
) -> None:
    write(tests, "test_bad.py", "pytestmark = pytest.mark.slow", *lines)

    ran = run(tests)

    assert ran.returncode == 1
    assert "reason" in ran.stdout
    assert "FAILED test_bad.py::test_bad" in ran.stdout.splitlines()
    assert last_line(ran) == f"2 passed, {failed} failed, 0 skipped, 1 parts red"


def test_a_part_that_dies_loses_its_tests_and_says_so(tests: Path) -> None:
    """Exit code 0 is no proof: here a test ends the process with it."""
    write(tests, "test_dies.py", "def test_first(): os._exit(0)", "def test_second(): pass")

    ran = run(tests, "test_dies.py")

    assert ran.returncode == 1
    assert "LOST test_dies.py::test_first" in ran.stdout
    assert "LOST test_dies.py::test_second" in ran.stdout
    assert last_line(ran) == "0 passed, 0 failed, 0 skipped, 2 lost, 0 run twice"


def test_a_test_that_its_part_does_not_find_is_lost(tests: Path) -> None:
    """It is there when pytest is asked, and not when its part runs."""
    write(
        tests,
        "test_gone.py",
        "if not pathlib.Path('asked').exists():",
        "    def test_gone(): pass",
        "pathlib.Path('asked').touch()",
        "def test_stays(): pass",
    )

    ran = run(tests)

    assert ran.returncode == 1
    assert "LOST test_gone.py::test_gone" in ran.stdout
    assert last_line(ran) == "3 passed, 0 failed, 0 skipped, 1 lost, 0 run twice"


def test_tests_that_cannot_be_collected_are_red_before_anything_runs(tests: Path) -> None:
    (tests / "test_broken.py").write_text("import no_such_module\n")

    ran = run(tests)

    assert ran.returncode == 2
    assert "no_such_module" in ran.stdout
    assert " at once" not in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("0 passed: pytest could not collect")


def test_no_test_at_all_is_no_success(tests: Path) -> None:
    assert run(tests, "-k", "nothing_is_called_so").returncode == 5


def noting(name: str, mark: str, *lines: str) -> tuple[str, ...]:
    """A test that writes down when it begins and ends."""
    note = "    with open('notes', 'a') as notes: notes.write('{} {}\\n')"
    return (
        f"@pytest.mark.{mark}",
        f"def test_{name}():",
        note.format(name, "begins"),
        *lines,
        note.format(name, "ends"),
    )


def test_parts_run_side_by_side_and_who_is_alone_comes_last(tests: Path) -> None:
    both = (
        "    end = time.monotonic() + 20",
        "    while pathlib.Path('notes').read_text().count('begins') < 2:",
        "        assert time.monotonic() < end",
    )
    write(tests, "test_one.py", *noting("one", "slow", *both))
    write(tests, "test_two.py", *noting("two", "slow", *both))
    write(tests, "test_three.py", *noting("three", "alone", "    time.sleep(0.3)"))
    write(tests, "test_four.py", *noting("four", "alone", "    time.sleep(0.3)"))

    ran = run(tests, "--jobs", "2")

    assert ran.returncode == 0, ran.stdout
    notes = (tests / "notes").read_text().splitlines()
    assert {line.partition(" ")[0] for line in notes[:4]} == {"one", "two"}
    assert notes[4:] == ["four begins", "four ends", "three begins", "three ends"]


LONG = (
    "@pytest.fixture",
    "def tidy():",
    "    yield",
    "    pathlib.Path('tidied').touch()",
    "def test_long(tidy):",
    "    pathlib.Path('began').write_text(f'{os.getpid()}\\n')",
    "    time.sleep(60)",
)


def appear(path: Path, text: str = "") -> str:
    """Wait until a file is there and ends as it should; what it says."""
    end = time.monotonic() + 30
    while not (path.exists() and path.read_text().endswith(text)):
        assert time.monotonic() < end, f"{path.name} did not come"
        time.sleep(0.02)
    return path.read_text()


def test_ctrl_c_ends_every_part_in_order_and_leaves_nothing(tests: Path, tmp_path: Path) -> None:
    write(tests, "test_long.py", *LONG)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    running = subprocess.Popen(
        command("test_long.py"),
        cwd=tests,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = appear(tests / "began", "\n").strip()

    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=30)

    assert running.returncode == 130
    assert out.splitlines()[-1] == "interrupted"
    assert (tests / "tidied").exists()
    assert not Path(f"/proc/{pid}").exists()
    assert list(temporary.iterdir()) == []


def test_when_we_are_killed_every_part_is_interrupted(tests: Path, tmp_path: Path) -> None:
    write(tests, "test_long.py", *LONG)
    running = subprocess.Popen(
        command("test_long.py"),
        cwd=tests,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
    )
    appear(tests / "began", "\n")

    running.kill()

    assert running.wait(10) == -signal.SIGKILL
    appear(tests / "tidied")
