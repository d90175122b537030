"""`sbcctl apply` where systemd runs: the units as rendered, a reboot, a crash, a bad start."""

from __future__ import annotations

import json
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path

import box
import ground
import lanes
import pytest

SCRIPT = str(Path(__file__).with_name("inspect_sbc.py"))
NO_CAPABILITIES = "0000000000000000"
BIND_BELOW_1024 = "0000000000000400"
ENGINES = ("kamailio", "rtpengine")
AS_ASKED = {"differences": [], "serves": True}
UNPRIVILEGED = {name: {(name, NO_CAPABILITIES, NO_CAPABILITIES, "1", "2")} for name in ENGINES}

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def machine(tmp_path_factory) -> Iterator[box.Box]:
    """A machine that has just booted, with this machine's own engines."""
    if reason := box.missing() or lanes.missing("host"):
        pytest.skip(reason)
    with box.Box(tmp_path_factory.mktemp("b")) as made:
        yield made


def kinds(machine: box.Box) -> list[str]:
    """Apply and say which steps were taken."""
    return [step["kind"] for step in json.loads(machine.apply("-o", "json").stdout)["steps"]]


def ask(machine: box.Box, *words: str, code: int | None = 0) -> object:
    """Run inspect_sbc inside; None when it fails, where it may."""
    argv = (sys.executable, "-W", "error", SCRIPT, *words)
    ran = machine.run(*argv, code=code, env={"PYTHONPATH": str(ground.HERE.parent)})
    return json.loads(ran.stdout) if ran.returncode == 0 else None


def read_back(machine: box.Box) -> object:
    """What the engines hold otherwise than written; None when they cannot be asked."""
    return ask(machine, "read-back", str(box.STATE), str(box.RUN), code=None)


def engines(machine: box.Box) -> dict[str, set[tuple[str, ...]]]:
    """By engine: user, effective and bounding capabilities, no_new_privs, seccomp mode."""
    users = dict(
        line.split(":")[2::-2] for line in machine.run("cat", "/etc/passwd").stdout.splitlines()
    )
    found: dict[str, set[tuple[str, ...]]] = {}
    for told in machine.statuses(*ENGINES):
        granted = (told["CapEff"], told["CapBnd"], told["NoNewPrivs"], told["Seccomp"])
        row = (users[told["Uid"].split()[0]], *granted)
        found.setdefault(told["Name"], set()).add(row)
    return found


def shown(machine: box.Box, unit: str, name: str) -> str:
    ran = machine.run("systemctl", "show", "--value", f"--property={name}", f"sbcctl-{unit}")
    return ran.stdout.strip()


def test_units_run_engines_without_privilege(machine):
    """From nothing to serving; then nothing to do, and data is reloaded across users."""
    start = ["start-rtpengine", "start-kamailio"]
    assert kinds(machine) == ["install-certificate", "commit", "install-units", *start]
    assert engines(machine) == UNPRIVILEGED
    assert kinds(machine) == []
    machine.write_site(("kind: pbx,", 'kind: pbx, numbers: ["+4930"],'))
    assert kinds(machine) == ["commit", "reload-table"]
    assert read_back(machine) == AS_ASKED


SANDBOX = """
for name in kamailio rtpengine; do
  folder=/etc/systemd/system/sbcctl-$name.service.d
  mkdir -p $folder
  printf '[Service]\nRootDirectory={tree}\nBindReadOnlyPaths={shared}\n' > $folder/tree.conf
done
cp {state}/current/systemd/*.service /etc/systemd/system/
systemctl daemon-reload
systemctl start sbcctl-rtpengine sbcctl-kamailio
"""


def test_the_sandbox_suits_every_generation(machine, lane):
    """Engines from a root, in the units' sandbox: nothing they need is forbidden to them."""
    if (root := lanes.root(lane)) is None:
        pytest.skip("this machine's own engines are in it in all other tests")
    tree = "/srv/engines"
    machine.run("sh", "-ec", f"mkdir {tree}; mount --rbind {root} {tree}")
    users = [f"{user.pw_uid}:{user.pw_gid}" for user in map(pwd.getpwnam, ENGINES)]
    places = (str(box.STATE), str(box.RUN), tree)
    ask(machine, "apply", *places, str(machine.folder / "site.yaml"), *users)
    ask(machine, "stop", *places)
    shared = f"{box.STATE} {box.RUN} {box.ROOTS} /etc/resolv.conf /etc/passwd /etc/group"
    machine.run("sh", "-ec", SANDBOX.format(tree=tree, shared=shared, state=box.STATE))
    machine.wait_until(lambda: read_back(machine) == AS_ASKED)
    assert engines(machine) == UNPRIVILEGED


def test_ports_below_1024_take_one_capability(machine):
    """Kamailio may bind them, and that is all it may."""
    machine.write_site(
        ("fqdn: sbc.example.com", "fqdn: sbc.example.com\n  port: 443"),
        ("trunk_address: 192.0.2.10", "trunk_address: 192.0.2.10, sip_port: 506"),
    )
    machine.apply()
    assert engines(machine)["kamailio"] == {
        ("kamailio", BIND_BELOW_1024, BIND_BELOW_1024, "1", "2")
    }
    assert read_back(machine) == AS_ASKED


def test_a_reboot_brings_the_sbc_back(machine):
    """/run is empty, addresses and DNS come late, and nobody calls sbcctl."""
    machine.apply()
    machine.reboot()
    # More often than systemd would try by default (five times in ten seconds).
    machine.wait_until(lambda: int(shown(machine, "kamailio", "NRestarts")) > 5, 20)
    assert read_back(machine) is None
    machine.settle()
    machine.wait_until(lambda: read_back(machine) == AS_ASKED)
    assert engines(machine) == UNPRIVILEGED


def test_an_engine_that_crashes_is_started_by_systemd(machine):
    """Without sbcctl; the next apply finds nothing to do."""
    machine.apply()
    first = {name: shown(machine, name, "MainPID") for name in ENGINES}
    machine.run("kill", "-KILL", *first.values())
    for name, pid in first.items():
        machine.wait_until(
            lambda name=name, pid=pid: shown(machine, name, "MainPID") not in ("0", pid)
        )
    machine.wait_until(lambda: read_back(machine) == AS_ASKED)
    assert kinds(machine) == []


def test_a_start_that_fails_is_told_from_the_journal(machine):
    """The cause is named, what was started is stopped, and the next apply works."""
    machine.set_names({"pbx.example.com": "192.0.2.20"})
    ran = machine.apply(code=1)
    assert "does not resolve" in ran.stderr
    assert "Nothing was installed before, and what was started has been stopped" in ran.stderr
    assert engines(machine) == {}
    machine.set_names(ground.NAMES)
    machine.apply()
    machine.write_site(
        ("sip:192.0.2.20", "sip:192.0.2.21"), ("engines: {", "engines: {workers: 3, ")
    )
    machine.set_names({})
    ran = machine.apply(code=4)
    assert "sbc.example.com does not resolve" in ran.stderr
    assert "and the way back failed" in ran.stderr
    machine.set_names(ground.NAMES)
    machine.apply()


def test_roots_that_kamailio_cannot_read_are_refused(machine):
    """Before anything is touched, though root can read them."""
    machine.run("chmod", "0600", box.ROOTS)
    ran = machine.apply(code=3)
    assert f"{box.ROOTS} cannot be used: the user kamailio may not read it" in ran.stderr
    machine.run("test", "!", "-e", str(box.STATE))
