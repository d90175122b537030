"""sbcctl explain and completion as people and shells use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

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
