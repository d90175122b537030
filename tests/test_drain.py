"""`sbcctl apply --drain` on a machine of its own, with real engines and calls that stand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ground
import lanes
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CALLER = str(ground.HERE / "fakes/caller.py")
ROUTES = (
    'routes:\n  out: {number: "+49301", from: [office], to: [carrier]}\n'
    '  help: {emergency: ["112"], from: [office], to: [carrier]}\nengines:'
)
CARRIER = (
    "trunks:",
    'trunks:\n  carrier: {kind: carrier, numbers: ["+4988"], gateways: ["sip:192.0.2.21:5060"]}',
)


class Busy(ground.Ground):
    """A machine whose SBC serves a PBX and a carrier, with callers at the PBX."""

    def sip(self, *words: str) -> str:
        """What the final answer of an exchange was."""
        return self.run(sys.executable, CALLER, *words).stdout

    def call(self, name: str, number: str = "+49301") -> str:
        return self.sip("call", number, str(self.folder / name))

    def bye(self, name: str) -> str:
        return self.sip("bye", str(self.folder / name))

    def change(self) -> None:
        """Write a site that needs a restart of Kamailio and RTPEngine."""
        self.write_site(
            CARRIER, ("engines:", ROUTES), ("engines:", "media: {ports: 31000-31999}\nengines:")
        )

    def drain(self, *words: str) -> subprocess.Popen[bytes]:
        """Begin an apply that drains, and return once calls are refused."""
        site = str(self.folder / "site.yaml")
        running = self.start(*self.words("apply", site, "--drain", *words))
        self.wait_until(lambda: self.sip("options") == "503", 30)
        return running


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[Busy]:
    """A machine that serves, and a call that stands."""
    with Busy(tmp_path_factory.mktemp("m"), lanes.root(lane)) as made:
        made.write_site(CARRIER, ("engines:", ROUTES))
        made.apply()
        assert made.call("standing") == "200"
        yield made


def leaf(pid: int) -> int:
    """The last process of a chain: sbcctl itself behind nsenter."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return leaf(int(children[0])) if children else pid


def ended(running: subprocess.Popen[bytes], seconds: float = 60) -> tuple[int, str]:
    said, _ = running.communicate(timeout=seconds)
    return running.returncode, said.decode()


def test_the_restart_comes_when_the_last_call_has_ended(machine):
    """Meanwhile OPTIONS and new calls get 503, a call for help passes, the old call goes on."""
    engines = machine.processes("kamailio")
    machine.change()
    running = machine.drain("10m")
    assert machine.call("new") == "503 10"
    assert machine.call("help", "112") == "200"
    assert machine.bye("help") == "200"
    time.sleep(16)
    assert machine.call("new") == "503 10"
    assert machine.processes("kamailio") == engines
    assert running.poll() is None
    assert machine.bye("standing") == "200"
    code, said = ended(running)
    assert code == 0, said
    assert "no call is left" in said
    assert "1 calls left, 9:" in said
    assert machine.call("next") == "200"


def test_the_time_is_up(machine):
    """With calls left the apply goes on, and says how many."""
    machine.change()
    code, said = ended(machine.drain("4s"))
    assert code == 0, said
    assert "warning: the time to drain was up with 1 calls left" in said
    assert machine.sip("options") == "200"


@pytest.mark.slow
def test_calls_are_taken_again_when_sbcctl_is_killed(machine):
    """By Kamailio itself, within the lease."""
    machine.change()
    running = machine.drain("10m")
    os.kill(leaf(running.pid), signal.SIGKILL)
    began = time.monotonic()
    machine.wait_until(lambda: machine.call("new") == "200", 20)
    assert time.monotonic() - began < 18
    assert running.wait(timeout=10) != 0
    assert machine.apply("--output", "json").returncode == 0


def test_calls_are_taken_again_at_once_on_ctrl_c(machine):
    """Nothing was changed, nothing is left of what was staged."""
    before = sorted(path.name for path in (machine.state / "generations").iterdir())
    machine.change()
    running = machine.drain("10m")
    os.kill(leaf(running.pid), signal.SIGINT)
    code, said = ended(running, 10)
    assert code == 130, said
    assert machine.call("new") == "200"
    assert sorted(path.name for path in (machine.state / "generations").iterdir()) == before


def test_a_reload_drains_nothing(machine):
    """It says so, and the call that stands goes on."""
    machine.write_site(CARRIER, ("engines:", ROUTES), ('number: "+49301"', 'number: "+49302"'))
    ran = machine.apply("--drain", "10m", "--output", "json")
    assert "no engine is restarted" in ran.stderr
    kinds = [step["kind"] for step in json.loads(ran.stdout)["steps"]]
    assert not any(kind.startswith("restart") for kind in kinds)
    assert machine.bye("standing") == "200"


@pytest.mark.parametrize("text", ["30", "0s", "m", "-1m", "25h"])
def test_a_time_that_is_none(machine, text):
    """Refused before anything is asked."""
    assert "--drain" in machine.apply(f"--drain={text}", code=64).stderr


def test_rollback_is_tried_and_drains_as_well(machine):
    """The way back over a restart: the call that stands is waited for."""
    machine.change()
    code, said = ended(machine.drain("1s"))
    assert code == 0, said
    assert machine.call("again") == "200"
    running = machine.start(*machine.words("rollback", "--drain", "10m"))
    machine.wait_until(lambda: machine.sip("options") == "503", 30)
    assert running.poll() is None
    for name in ("standing", "again"):
        machine.bye(name)
    code, said = ended(running)
    assert code == 0, said
    assert "both engines start" in said
    assert "no call is left" in said
    assert machine.call("next") == "200"


def test_a_saved_plan_that_goes_stale_while_calls_are_waited_for_is_not_carried_out(machine):
    """What it said is looked at again before the first change."""
    machine.change()
    saved = str(machine.folder / "plan.json")
    site = str(machine.folder / "site.yaml")
    machine.run(*machine.words("plan", site, "--out", saved))
    before = (machine.state / "current").readlink()
    running = machine.start(*machine.words("apply", saved, "--drain", "10m"))
    machine.wait_until(lambda: machine.sip("options") == "503", 30)
    [media] = machine.statuses("rtpengine")
    machine.run("kill", "-9", media["Pid"])
    code, said = ended(running)
    assert code == 1, said
    assert "the plan is stale and nothing was changed" in said
    assert "restart-rtpengine, and is commit, start-rtpengine now" in said
    assert (machine.state / "current").readlink() == before
    assert len(list((machine.state / "generations").iterdir())) == 1
