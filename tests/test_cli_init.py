"""sbcctl init as scripts see it: a file to begin with, whole or not at all, never over another."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def sbcctl(tmp_path):
    """Run sbcctl in an empty directory."""

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def test_init_and_validate_need_no_argument_and_say_what_is_yours(sbcctl, tmp_path):
    written = sbcctl("init")
    checked = sbcctl("validate")

    assert (written.returncode, checked.returncode) == (0, 0), checked.stderr
    assert written.stdout.startswith('site.yaml: preset single, 4 values are marked "# <- yours"')
    assert written.stdout.endswith("next: sbcctl validate\n")
    assert checked.stderr.count("hint[placeholder]") == 4
    assert "error" not in checked.stderr
    assert (tmp_path / "site.yaml").stat().st_mode & 0o7777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["site.yaml"]


def test_a_site_that_was_filled_in_has_no_hint(sbcctl, tmp_path):
    sbcctl("init")
    file = tmp_path / "site.yaml"
    text = re.sub(r"203\.0\.113\.10|192\.0\.2\.20", "8.8.4.4", file.read_text())
    file.write_text(text.replace("example.com", "contoso.com").replace("8.8.4.4", "8.8.8.8", 1))

    ran = sbcctl("validate")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_file_that_is_there_is_replaced_by_force_only(sbcctl, tmp_path):
    (tmp_path / "site.yaml").write_text("mine\n")

    refused = sbcctl("init")
    assert (refused.returncode, refused.stdout) == (6, "")
    assert "site.yaml exists" in refused.stderr
    assert "--force" in refused.stderr
    assert (tmp_path / "site.yaml").read_text() == "mine\n"

    assert sbcctl("init", "--force").returncode == 0
    assert "mine" not in (tmp_path / "site.yaml").read_text()


def test_a_dash_is_standard_output_and_the_text_is_a_site(sbcctl, tmp_path):
    ran = sbcctl("init", "--preset", "hosting", "-o", "-")
    (tmp_path / "other.yaml").write_text(ran.stdout)

    assert ran.returncode == 0
    assert not (tmp_path / "site.yaml").exists()
    assert sbcctl("validate", "other.yaml").returncode == 0


def test_programs_get_the_text_and_what_to_fill_in(sbcctl):
    ran = sbcctl("init", "--preset", "single", "-o", "-", "--output", "json")
    told = json.loads(ran.stdout)

    assert (told["kind"], told["ok"], told["file"]) == ("init", True, None)
    assert told["text"].startswith("# yaml-language-server: ")
    assert [each["path"] for each in told["fill_in"]] == [
        "node.public_address",
        "teams.fqdn",
        "certificate.acme.email",
        "trunks.office.gateways",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-o", "json"], 64, "--output json"),
        (["-o", "no/such/folder/site.yaml"], 6, "cannot be written"),
        (["--preset", "huge"], 64, "single"),
    ],
)
def test_what_cannot_be_written_is_said(sbcctl, tmp_path, arguments, code, words):
    ran = sbcctl("init", *arguments)

    assert ran.returncode == code
    assert words in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", [["validate"], ["apply"], ["render", "--out", "there"]])
def test_without_site_and_without_site_yaml_the_hint_is_init(sbcctl, verb):
    ran = sbcctl(*verb)

    assert ran.returncode == 6
    assert "site.yaml cannot be read: No such file or directory" in ran.stderr
    assert "sbcctl init" in ran.stderr


def test_the_schema_is_written_where_a_site_of_init_looks_for_it(sbcctl, tmp_path):
    sbcctl("init")
    named = (tmp_path / "site.yaml").read_text().splitlines()[0].partition("$schema=./")[2]

    for _ in range(2):
        assert sbcctl("schema", "--out", named).returncode == 0
    assert json.loads((tmp_path / named).read_text()) == json.loads(sbcctl("schema").stdout)
    told = json.loads(sbcctl("schema", "--output", "json").stdout)
    assert (told["kind"], told["schema"]) == ("schema", json.loads(sbcctl("schema").stdout))


def test_the_schema_replaces_no_site(sbcctl, tmp_path):
    sbcctl("init")
    before = (tmp_path / "site.yaml").read_text()

    ran = sbcctl("schema", "--out", "site.yaml")
    assert ran.returncode == 6
    assert "site.yaml exists" in ran.stderr
    assert (tmp_path / "site.yaml").read_text() == before
