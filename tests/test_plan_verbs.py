"""`sbcctl plan`, `show`, `diff` and `apply PLAN` on a machine with real engines."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import ground
import lanes
import pytest

pytestmark = [pytest.mark.engine]

NUMBERS = ("kind: pbx,", 'kind: pbx, numbers: ["+4930"],')
PORTS = ("engines: {", "media: {ports: 31000-31999}\nengines: {workers: 3, ")


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    with ground.Ground(tmp_path_factory.mktemp("p"), lanes.root(lane)) as made:
        yield made


def sbcctl(machine: ground.Ground, verb: str, *words: str, code: int = 0):
    site = str(machine.folder / "site.yaml")
    return machine.run(*machine.words(verb, site, *words), code=code)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder that is kept, with its times; engines write their logs."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
        for path in sorted(folder.rglob("*"))
        if path.parent.name != "log"
    }


def kinds(ran) -> list[str]:
    return [step["kind"] for step in json.loads(ran.stdout)["steps"]]


def test_what_plan_says_is_what_apply_does_and_nothing_is_changed_before(machine):
    """From nothing, for data, for restarts, and for drift."""
    ran = sbcctl(machine, "plan", "--output", "json", "--detailed-exitcode", code=2)
    assert json.loads(ran.stdout)["to"] is None
    assert not machine.state.exists()
    assert "certificate" in json.loads(ran.stdout)["needs"][0]
    assert kinds(machine.apply("--output", "json")) == kinds(ran)
    assert "Nothing to do." in sbcctl(machine, "plan", "--detailed-exitcode").stdout
    for change in (NUMBERS, PORTS):
        machine.write_site(change)
        before = tree(machine.state)
        ran = sbcctl(machine, "plan", "--output", "json")
        assert tree(machine.state) == before
        assert kinds(machine.apply("--output", "json")) == kinds(ran)
    edited = machine.state / "current/kamailio/tls.cfg"
    edited.write_text(f"{edited.read_text()}# by hand\n")
    ran = sbcctl(machine, "plan", "--output", "json")
    assert "changed by somebody else: kamailio/tls.cfg" in ran.stdout
    assert kinds(machine.apply("--output", "json")) == kinds(ran)


def test_the_plan_in_words(machine):
    """The change, where it stands, why each step is needed, and what calls notice."""
    machine.apply()
    machine.write_site(NUMBERS, PORTS)
    text = sbcctl(machine, "plan").stdout
    site = machine.folder / "site.yaml"
    lines = site.read_text().splitlines()
    trunk = next(number for number, line in enumerate(lines, 1) if "office:" in line)
    media = next(number for number, line in enumerate(lines, 1) if line.startswith("media:"))
    assert f"  ~ trunk office                       {site}:{trunk}\n" in text
    assert "      + numbers" in text
    assert f"its configuration changed ({site}:{media}" in text
    assert "RTPEngine restarts: no call is on it now" in text
    assert "Kamailio restarts: calls that ring and TLS connections end" in text
    assert "Plan: 0 to add, 3 to change, 0 to remove. 2 restarts." in text
    notices = sbcctl(machine, "plan", "--output", "github").stdout
    assert f"::notice file={site},line={trunk},col=3::~ trunk office" in notices


def test_a_saved_plan_is_carried_out_once(machine):
    """Exactly this, or nothing: what it said is stale afterwards, and an edited one is none."""
    machine.apply()
    machine.write_site(NUMBERS)
    saved = machine.folder / "plan.json"
    shown = sbcctl(machine, "plan", "--out", str(saved)).stdout
    assert saved.stat().st_mode & 0o777 == 0o600
    assert machine.run(*machine.words("show", str(saved))).stdout == shown
    machine.run(*machine.words("show", str(saved), "--detailed-exitcode"), code=2)
    machine.write_site()  # what was saved counts, not what the file says now
    ran = machine.run(*machine.words("apply", str(saved), "--output", "json"))
    assert kinds(ran) == ["commit", "reload-table"]
    before = tree(machine.state / "generations")
    ran = machine.run(*machine.words("apply", str(saved)), code=1)
    assert "the plan is stale and nothing was changed" in ran.stderr
    assert "what is to do was commit, reload-table" in ran.stderr
    assert tree(machine.state / "generations") == before
    told = json.loads(saved.read_text())
    del told["asked"]
    saved.write_text(json.dumps(told))
    for verb in ("apply", "show"):
        ran = machine.run(*machine.words(verb, str(saved)), code=64)
        assert "asked is missing" in ran.stderr


GUIDE = Path(__file__).parents[1] / "docs/guide/changes.md"
MOVING = (
    (r"\b[0-9a-f]{12}\b", "GENERATION"),
    (r"Kamailio \d[\d.]+, RTPEngine \d[\d.]+", "ENGINES"),
    (r"Kamailio \d[\d.]+ answers", "Kamailio answers"),
    (r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME"),
    (r"until \S+ \(\d+ days\)", "until DATE"),
    (r"\d+\.\d s\)", "SECONDS)"),
    (r" by \w+", " by SOMEBODY"),
    (r"Python [\d.]+", "Python VERSION"),
    (r"(Kamailio|RTPEngine|kamailio|rtpengine) +\d[\w.+~-]*", r"\1 VERSION"),
)


def still(text: str) -> str:
    """A text without what is another one each time."""
    for pattern, word in MOVING:
        text = re.sub(pattern, word, text)
    return text.rstrip()


def test_the_guide_shows_what_is_said(machine):
    """Every console block of docs/guide/changes.md, in order, on one machine."""
    machine.apply()
    machine.write_site(
        ("sip:192.0.2.20:5060", "sip:192.0.2.21:5060"),
        ("engines: {", "media: {ports: 31000-31999}\nengines: {"),
    )
    shown = re.findall(
        r"^```console\n\$ sbcctl (.*?)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert [words.split()[0] for words, _ in shown] == [
        "plan",
        "apply",
        "rollback",
        "history",
        "status",
    ]
    check_sessions(machine, shown)


def check_sessions(machine: ground.Ground, shown: list[tuple[str, str]]) -> None:
    """Run what a page shows, in order, and compare."""
    for words, said in shown:
        line = shlex.join(machine.words(*words.split()))
        ran = machine.run(
            "sh",
            "-c",
            f"cd {machine.folder} && {line}",
            env={"PYTHONPATH": str(ground.HERE.parent)},
        )
        assert still(ran.stdout) == still(said)


VERBS = Path(__file__).parents[1] / "docs/guide/verbs.md"


def test_the_page_of_verbs_shows_what_is_said(machine):
    """Those that need engines; tests/test_docs.py has the others."""
    machine.apply()
    machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.21:5060"))
    shown = re.findall(
        r"^\$ sbcctl ((?:diff|version|validate --level).*?)\n(.*?)(?=^\$ |^```$)",
        VERBS.read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert len(shown) == 3
    check_sessions(machine, shown)


def test_diff_shows_lines_and_no_secrets(machine):
    machine.apply()
    assert sbcctl(machine, "diff", "--detailed-exitcode").stdout == ""
    machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.21:5060"))
    ran = sbcctl(machine, "diff", "--detailed-exitcode", code=2)
    assert "--- kamailio/dispatcher.list (serves)" in ran.stdout
    assert any(line.startswith("+") and "192.0.2.21" in line for line in ran.stdout.splitlines())
    (machine.state / "keys/contact").write_text("f" * 64)
    ran = sbcctl(machine, "diff")
    assert re.search(
        r"\+\+\+ kamailio/tables/secret \(site.yaml\)\n-secret:\w{8}\n\+secret:\w{8}\n", ran.stdout
    )
    assert "f" * 64 not in ran.stdout
