"""``sbcctl route explain``: what it says, to people and to programs."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator import cli

GUIDE = (Path(__file__).parents[1] / "docs/guide/routes.md").read_text()
SITE = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)[0]
SHOWN = re.findall(r"^```text\n\$ (sbcctl .*?)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)

PHONES = """phones:
  realm: sbc.example.com
  users:
    reception: {number: "+493055500", password: {env: A}}
"""


@pytest.fixture
def say(tmp_path, capsys):
    """Run one command line where the guide's site is site.yaml; its code, stdout and stderr."""
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "phones.yaml").write_text(SITE + PHONES)

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.run(words)
        told = capsys.readouterr()
        return code, told.out, told.err

    with contextlib.chdir(tmp_path):
        yield run


@pytest.mark.parametrize(("words", "text"), SHOWN)
def test_the_guide_shows_what_is_said(say, words, text):
    """Every answer in the guide is the program's own."""
    assert say(*words.split()[1:]) == (0, text, "")


def test_the_guide_shows_some():
    """A route that decides, a target left out, and what a trunk implies."""
    assert len(SHOWN) == 3


def explained(say, *words: str) -> dict:
    code, out, _ = say("route", "explain", *words, "-o", "json")
    assert code == 0
    told: dict = json.loads(out)
    return told


def test_programs_get_the_same(say):
    """One object whose keys stay: who decided and where it stands, the targets, the others."""
    told = explained(say, "site.yaml", "--from", "colt", "--to", "+493055520")
    assert list(told)[5:] == [
        *("from", "to", "number", "decided_by", "tenant", "emergency", "targets", "left_out"),
        *("shows", "when_all_fail", "passed_over"),
    ]
    assert told["kind"] == "route-explain"
    assert told["decided_by"] == {
        "route": "service",
        "leads_to": ["teams", "office"],
        "callers": ["colt", "backup"],
        "match": "range",
        "first": "+493055500",
        "last": "+493055599",
        "place": {"path": ["routes", "service"], "file": "site.yaml", "line": 14, "column": 3},
    }
    assert told["targets"][0] == {
        "party": "teams",
        "phone": None,
        "failover_on": [503],
        "ring_within": None,
        "answer_within": 20,
        "place": {"path": ["teams"], "file": "site.yaml", "line": 4, "column": 1},
    }
    assert told["when_all_fail"] == {"code": 503, "reason": "nobody can be reached"}
    assert [passed["route"] for passed in told["passed_over"]] == [None, None]


def test_a_call_nothing_is_for(tmp_path, say):
    """Teams dials what only Teams would get: the answer is 404, and that is a result."""
    text = SITE.partition("routes:")[0].replace("sip:192.0.2.40", "sip:192.0.2.41")
    text = text.replace('["sip:192.0.2.41"]}', '["sip:192.0.2.41"], numbers: ["7"]}')
    Path("few.yaml").write_text(text)
    code, out, _ = say("route", "explain", "few.yaml", "--from", "teams", "--to", "alice")
    assert code == 0
    assert "takes    no route" in out
    told = explained(say, "few.yaml", "--from", "teams", "--to", "alice")
    assert told["decided_by"] is None
    assert told["targets"] == []
    assert told["when_all_fail"]["code"] == 404


@pytest.mark.parametrize("source", ["phone", "phones", "phone:reception", "+493055500"])
def test_a_phone_may_be_named_in_its_ways(say, source):
    """By kind, by user, or by its number."""
    told = explained(say, "phones.yaml", "--from", source, "--to", "+15551")
    assert told["from"] == "phone"


def test_a_phone_that_is_called(say):
    """The target names the phone and its place; its only failure is not to be there."""
    told = explained(say, "phones.yaml", "--from", "teams", "--to", "+493055500")
    assert told["targets"][0]["phone"] == "reception"
    assert told["targets"][0]["place"]["path"] == ["phones", "users", "reception"]
    assert told["when_all_fail"] == {"code": 480, "reason": "the phone is not registered"}


@pytest.mark.parametrize(
    ("source", "dialled", "words"),
    [
        ("+4989", "1", "no phone has the number +4989"),
        ("ofice", "1", "did you mean office?"),
        ("phone:recepton", "1", "did you mean phone:reception?"),
        ("gone", "1", "nobody called gone"),
        ("teams", "+49 30", "cannot be dialled"),
        ("teams", "", "cannot be dialled"),
    ],
)
def test_a_call_that_cannot_be(say, source, dialled, words):
    """Who cannot call, or what nobody can dial, is a wrong command line."""
    code, out, err = say("route", "explain", "phones.yaml", "--from", source, "--to", dialled)
    assert (code, out) == (64, "")
    assert words in err


def test_a_site_that_is_none(say):
    """Its problems are told as by ``validate``, before any answer."""
    Path("bad.yaml").write_text(SITE.replace("to: [colt, backup]", "to: [cold, backup]"))
    code, out, err = say("route", "explain", "bad.yaml", "--from", "teams", "--to", "1")
    assert (code, out) == (3, "")
    assert "bad.yaml:13:10: error[unknown-party]" in err
    assert "did you mean colt?" in err


def test_help_names_the_verb():
    """The group and its verb say what they do."""
    ran = CliRunner().invoke(cli.program, ["route", "explain", "--help"], prog_name="sbcctl")
    assert ran.exit_code == 0
    assert "--from PARTY" in ran.output
