"""sbcctl explain and completion as people and shells use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.site import manual, problems


def sbcctl(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *arguments],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_field_is_explained():
    ran = sbcctl("explain", "trunks.office.gateways")

    assert ran.returncode == 0
    assert ran.stdout.startswith("trunks.*.gateways\n")
    assert "it is required" in ran.stdout
    told = json.loads(sbcctl("explain", "teams.port", "--output", "json").stdout)
    assert (told["kind"], told["path"], told["default"]) == ("explain", "teams.port", "5061")


def test_a_problem_is_explained_by_its_id():
    ran = sbcctl("explain", "unknown-key")

    assert ran.returncode == 0
    assert ran.stdout.startswith("error unknown-key\n")
    told = json.loads(sbcctl("explain", "unknown-key", "--output", "json").stdout)
    assert told["id"] == "unknown-key"
    assert told["do"] == problems.KINDS["unknown-key"].do


def test_without_an_argument_everything_is_listed():
    text = sbcctl("explain").stdout
    told = json.loads(sbcctl("explain", "--output", "json").stdout)

    listed = {line.split()[0] for line in text.splitlines() if line.strip()}
    assert {".".join(path) for path in manual.every_path() if path[-1] != manual.ANY} <= listed
    assert all(name in text for name in problems.KINDS)
    assert [each["id"] for each in told["problems"]] == list(problems.KINDS)
    assert len(told["fields"]) == len(manual.every_path())


def test_what_is_unknown_is_a_wrong_command_line_with_a_guess():
    for what, meant in [
        ("teams.prot", "teams.port"),
        ("unkown-key", "unknown-key"),
        ("gateways", "trunks.*.gateways"),
        ("qqqqqqqqqqqq", "sbcctl explain lists"),
    ]:
        ran = sbcctl("explain", what)
        assert (ran.returncode, ran.stdout) == (64, "")
        assert meant in ran.stderr


# -- completion -------------------------------------------------------------------------------

BIN = Path(sys.executable).parent


def bash_offers(*words: str) -> list[str]:
    """What a real bash has in COMPREPLY after it has read our script; the last word is begun."""
    script = """
        source <(sbcctl completion bash) || exit 1
        complete -p sbcctl >/dev/null || exit 2
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _sbcctl_completion sbcctl
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    ran = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", "sbcctl", *words],
        env={"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.split()


def test_bash_offers_every_verb_and_those_that_begin_so():
    assert bash_offers("") == list(cli.VERBS)
    assert bash_offers("va") == ["validate"]
    assert bash_offers("--engine") == ["--engine-root"]


def test_bash_offers_what_a_verb_takes():
    assert bash_offers("init", "--preset", "") == ["single", "hosting", "lab"]
    assert bash_offers("explain", "teams.p") == ["teams.port"]
    assert bash_offers("explain", "unknown-k") == ["unknown-key"]
    assert "--force" in bash_offers("init", "--")


def test_a_tab_imports_no_verb():
    """The program starts at every TAB; the model alone would double the time."""
    probe = (
        "import sys; from orchestrator import cli\n"
        "try: cli.main()\n"
        "finally: print([name for name in ('pydantic', 'orchestrator.cli.apply') "
        "if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe],
        env={
            "PATH": os.environ["PATH"],
            "_SBCCTL_COMPLETE": "bash_complete",
            "COMP_WORDS": "sbcctl ",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "plain,validate" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell):
    told = json.loads(sbcctl("completion", shell, "--output", "json").stdout)

    assert told["shell"] == shell
    assert told["script"] in sbcctl("completion", shell).stdout
    assert f"_SBCCTL_COMPLETE={shell}_complete" in told["script"]


def test_an_unknown_shell_is_a_wrong_command_line():
    assert sbcctl("completion", "tcsh").returncode == 64
