"""The scripts behind make say what is wrong, and leave nothing when they are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
SCRIPTS = CHECKOUT / "scripts"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tmp").mkdir()
    return {
        **os.environ,
        "TMPDIR": str(tmp_path / "tmp"),
        "SBCCTL_ENGINES": str(tmp_path / "roots"),
    }


def run(*argv: str | Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "script", [*sorted(SCRIPTS.glob("*.sh")), CHECKOUT / ".ci/run"], ids=lambda path: path.name
)
def test_a_script_is_a_script(script: Path, env: dict[str, str]) -> None:
    assert run("bash", "-n", script, env=env).returncode == 0


def test_an_unknown_engine_root_is_named_with_those_that_exist(env: dict[str, str]) -> None:
    ran = run(SCRIPTS / "engines.sh", "potato", env=env)

    assert ran.returncode == 6
    assert ran.stderr == (
        "no engine root is known by the name 'potato'\n"
        "  hint: use debian12, debian13 or debian-sid\n"
    )


def test_a_broken_tree_is_not_taken_for_an_engine_root(
    env: dict[str, str], tmp_path: Path
) -> None:
    """A folder with the right name is no proof; here the build then fails for want of a mirror."""
    (tmp_path / "roots" / "debian12" / "usr").mkdir(parents=True)
    nowhere = {**env, "MIRROR": f"file://{tmp_path}/nowhere"}

    ran = run(SCRIPTS / "engines.sh", "debian12", env=nowhere)

    assert ran.returncode == 6
    assert "the engine root debian12 could not be built" in ran.stderr
    assert (tmp_path / "roots" / "debian12" / "usr").is_dir()
    assert not list((tmp_path / "roots").glob(".building*"))


def test_a_failed_step_shows_what_was_printed_and_returns_the_code(env: dict[str, str]) -> None:
    script = f". {SCRIPTS}/steps.sh; step 'try it' sh -c 'echo the reason; exit 9'"

    ran = run("bash", "-c", script, env=env)

    assert ran.returncode == 9
    assert "FAIL  try it" in ran.stderr
    assert "the reason" in ran.stderr
    assert not list(Path(env["TMPDIR"]).iterdir())


def test_an_interrupted_step_ends_its_program_and_leaves_no_file(
    env: dict[str, str], tmp_path: Path
) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    script = (
        f". {SCRIPTS}/steps.sh; trap end_step EXIT; trap 'exit 130' INT\n"
        f"step 'wait' sh -c 'echo $$ > {started}; exec sleep 60'\n"
    )
    running = subprocess.Popen(
        ["bash", "-c", script], env=env, start_new_session=True, stderr=subprocess.DEVNULL
    )
    pid = int(started.read_text())

    os.killpg(running.pid, signal.SIGINT)

    assert running.wait(timeout=10) == 130
    assert not Path(f"/proc/{pid}").exists()
    assert not list(Path(env["TMPDIR"]).iterdir())
