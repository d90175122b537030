"""`sbcctl rollback` and `history`, and what the next run makes of one that died in the middle."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import ground
import lanes
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow]

NUMBERS = ("kind: pbx,", 'kind: pbx, numbers: ["+4930"],')
WORKERS = ("engines: {", "engines: {workers: 3, ")


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine that serves."""
    with ground.Ground(tmp_path_factory.mktemp("k"), lanes.root(lane)) as made:
        made.apply()
        yield made


def current(machine: ground.Ground) -> str:
    return (machine.state / "current").readlink().name


def sbcctl(machine: ground.Ground, *words: str, code: int = 0):
    return machine.run(*machine.words(*words), code=code)


def kinds(ran) -> list[str]:
    return [step["kind"] for step in json.loads(ran.stdout)["steps"]]


def changes(machine: ground.Ground) -> list[tuple[str, str]]:
    """Result and command of every change on record."""
    told = json.loads(sbcctl(machine, "history", "--output", "json").stdout)
    return [(each["result"], each["command"].split()[0]) for each in told["changes"]]


def test_back_and_forth(machine):
    """The one before serves again by the cheapest steps; site.yaml goes forward again."""
    first = current(machine)
    machine.write_site(NUMBERS)
    machine.apply()
    second = current(machine)
    ran = sbcctl(machine, "rollback", "--output", "json")
    assert kinds(ran) == ["commit", "reload-table"]
    assert current(machine) == (machine.state / "last-known-good").readlink().name == first
    assert kinds(sbcctl(machine, "rollback", first[:5], "--output", "json")) == []
    assert kinds(machine.apply("--output", "json")) == ["commit", "reload-table"]
    assert current(machine) == second
    assert changes(machine) == [
        ("applied", "apply"),
        ("applied", "apply"),
        ("applied", "rollback"),
        ("applied", "apply"),
    ]
    assert "serves" in sbcctl(machine, "history").stdout.splitlines()[-1]


def test_back_over_a_restart_and_a_certificate(machine):
    """A generation for another name gets the certificate that fits it; without one it stays."""
    machine.write_pair("other", "pbx.example.com", number=3)
    machine.write_site(
        WORKERS,
        ("fqdn: sbc.example.com", "fqdn: pbx.example.com"),
        ("sbc.chain", "other.chain"),
        ("sbc.key", "other.key"),
    )
    machine.apply()
    ran = sbcctl(machine, "rollback", "--output", "json")
    assert kinds(ran) == ["install-certificate", "commit", "restart-kamailio"]
    assert kinds(sbcctl(machine, "rollback", "--output", "json"))[0] == "install-certificate"
    used = (machine.state / "certificates/current").readlink().name
    for folder in (machine.state / "certificates").iterdir():
        if folder.name not in ("current", used):
            (folder / "key.pem").unlink()
    served = current(machine)
    ran = sbcctl(machine, "rollback", code=6)
    assert "no certificate on disk fits that generation (sbc.example.com)" in ran.stderr
    assert current(machine) == served


def test_names_that_are_none(machine):
    """Nothing to go back to, an unknown name, a damaged generation: said, and nothing changes."""
    assert "no earlier generation" in sbcctl(machine, "rollback", code=64).stderr
    assert "there is no beef" in sbcctl(machine, "rollback", "beef", code=64).stderr
    machine.write_site(WORKERS)
    machine.apply()
    damaged = current(machine)
    machine.write_site(NUMBERS)
    machine.apply()
    served = current(machine)
    ran = sbcctl(machine, "rollback", "--allow-down", "ofice", code=64)
    assert "there is no trunk ofice in that generation" in ran.stderr
    (machine.state / "generations" / damaged / "kamailio/kamailio.cfg").unlink()
    ran = sbcctl(machine, "rollback", damaged, code=6)
    assert f"generation {damaged} is damaged" in ran.stderr
    assert current(machine) == served
    assert not (machine.state / "journal.json").exists()


@pytest.mark.parametrize("way", ["apply", "rollback", "a failing apply"])
def test_a_run_that_was_killed(machine, way):
    """kill -9 between commit and restart: the next run knows what served, and ends it."""
    served = current(machine)
    machine.write_site(WORKERS)
    running = machine.start(*machine.words("apply", str(machine.folder / "site.yaml")))
    machine.wait_until((machine.state / "journal.json").exists)
    machine.wait_until(lambda: current(machine) != served)
    os.kill(machine.program_of(running), signal.SIGKILL)
    running.wait(10)
    noted = json.loads((machine.state / "journal.json").read_text())
    assert (noted["good"], noted["kamailio"]) == (served, True)
    assert "did not end" in sbcctl(machine, "history").stdout
    if way == "apply":
        machine.apply()
        assert current(machine) != served
    elif way == "rollback":
        sbcctl(machine, "rollback")
        assert current(machine) == served
    else:
        machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.20:5999"))
        ran = machine.apply(code=1)
        assert f"Generation {served} was restored" in ran.stderr
    assert not (machine.state / "journal.json").exists()
    assert (machine.state / "last-known-good").readlink().name == current(machine)
