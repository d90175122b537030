"""docs/guide/hosting.md: what it shows of tenants in files is what there is."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.site import include, parse, source

GUIDE = (Path(__file__).parents[1] / "docs/guide/hosting.md").read_text()
STEPS = re.findall(
    r"^`(?P<file>[^`\n]+)`:\n\n```\n(?P<text>.*?)^```$"
    r"|^```text\n\$ sbcctl (?P<words>.*?)\n(?P<shown>.*?)^```$",
    GUIDE,
    re.MULTILINE | re.DOTALL,
)
"""A file that is written, or a command line with what it prints, in the order of the page."""


def test_what_the_guide_shows_is_what_is_printed(tmp_path, capsys):
    assert [bool(words) for _, _, words, _ in STEPS] == [False] * 4 + [True] * 3 + [False, True]
    with contextlib.chdir(tmp_path):
        for file, text, words, shown in STEPS:
            if file:
                Path(file).parent.mkdir(exist_ok=True)
                Path(file).write_text(text)
                continue
            cli.run(words.split())
            told = capsys.readouterr()
            assert told.out.rstrip("\n") + told.err.rstrip("\n") == shown.rstrip("\n")


SITE, TENANTS = (text for _, text, _, _ in STEPS[:2])


@pytest.mark.parametrize(
    ("policy", "shows"),
    [
        ("pass", None),
        ("main", "+4930555000 to trunks (acme.yaml:4)"),
        ("own", "+4930555000 to trunks, and the tenant's own numbers (acme.yaml:4)"),
    ],
)
def test_what_a_tenant_shows_is_explained(tmp_path, capsys, policy, shows):
    """To people and to programs, and of the calls it makes only."""
    main = "" if shows is None else ', main: "+4930555000"'
    (tmp_path / "acme.yaml").write_text(f"{TENANTS}  caller_id: {{policy: {policy}{main}}}\n")
    alone = re.sub("  beta-pbx: .*\n", "", SITE).replace("tenants.d/*.yaml", "acme.yaml")
    (tmp_path / "site.yaml").write_text(alone.replace(", generated/*.jsonl", ""))
    with contextlib.chdir(tmp_path):
        words = ["route", "explain", "site.yaml", "--from", "teams", "--to", "+4989123"]
        assert cli.run([*words, "--tenant", "acme"]) == 0
        told = re.findall("^  shows    (.*)$", capsys.readouterr().out, re.MULTILINE)
        assert told == ([] if shows is None else [shows])
        assert cli.run([*words, "--tenant", "acme", "-o", "json"]) == 0
        said = json.loads(capsys.readouterr().out)["shows"]
        assert (said or {}).get("own_numbers_pass") == {"own": True, "main": False}.get(policy)
        assert cli.run([*words[:4], "colt", "--to", "+4930555000", "-o", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["shows"] is None


def test_a_tenant_may_be_named_as_the_log_does(tmp_path, capsys):
    """By its fqdn, in letters of any size; what is nobody's is refused as before."""
    (tmp_path / "acme.yaml").write_text(TENANTS)
    alone = re.sub("  beta-pbx: .*\n", "", SITE).replace("tenants.d/*.yaml", "acme.yaml")
    (tmp_path / "site.yaml").write_text(alone.replace(", generated/*.jsonl", ""))
    with contextlib.chdir(tmp_path):
        words = ["route", "explain", "site.yaml", "--from", "teams", "--to", "+4989123"]
        told = {}
        for name in ("acme", "acme.sbc.example.com", "ACME.sbc.example.com"):
            assert cli.run([*words, "--tenant", name]) == 0
            told[name] = capsys.readouterr().out
        assert len(set(told.values())) == 1
        assert cli.run([*words, "--tenant", "gone.sbc.example.com"]) == 64
        assert "there is no tenant gone.sbc.example.com" in capsys.readouterr().err


HELP = """\
  takes    the way to colt (acme.yaml:4)
  because  it is for calls from teams to emergency number 112
  1.       colt (site.yaml:11); must ring within 4 s
           next on silence and every refusal
  2.       backup (site.yaml:12)
  shows    +4930555000 to trunks (acme.yaml:4)
  else     teams gets 503: nobody can be reached, so Teams tries its next SBC (SIG-26)
  not      route help, emergency number 112 (site.yaml:14): its targets come after the tenant's \
trunks for such calls
"""


def test_the_ways_of_a_call_for_help_are_explained(tmp_path, capsys):
    """The tenant's trunk and number, then what is left of the site's route."""
    more = '{caller: "+4930555000", trunks: [colt]}'
    (tmp_path / "acme.yaml").write_text(f"{TENANTS}  emergency: {more}\n")
    text = SITE.replace("beta-pbx: {kind: pbx,", 'backup: {kind: pbx, numbers: ["1"],')
    text = text.replace("[tenants.d/*.yaml, generated/*.jsonl]", "acme.yaml")
    routes = 'routes:\n  help: {emergency: ["112"], to: [colt, backup]}\n'
    (tmp_path / "site.yaml").write_text(text.replace("tenants:\n", f"{routes}tenants:\n"))
    with contextlib.chdir(tmp_path):
        words = ["route", "explain", "site.yaml", "--from", "teams", "--tenant", "acme"]
        assert cli.run([*words, "--to", "112"]) == 0
        assert capsys.readouterr().out.splitlines()[1:9] == HELP.splitlines()
        assert cli.run([*words, "--to", "+4989123"]) == 0
        assert "shows" not in capsys.readouterr().out


def test_the_limits_in_the_guide_are_the_limits():
    rows = dict(re.findall(r"^\| ([a-z A-Z]+) \| ([0-9,]+(?: MiB)?) \|$", GUIDE, re.MULTILINE))

    assert rows == {
        "included files": f"{include.MOST_FILES:,}",
        "bytes of all of them": f"{include.MOST_BYTES >> 20} MiB",
        "bytes of one in YAML": f"{source.MOST_BYTES >> 20} MiB",
        "keys and values of all of them": f"{include.MOST_VALUES:,}",
        "keys and values of one in YAML": f"{parse.MOST_VALUES:,}",
    }
