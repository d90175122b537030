"""What `kamailio -c` does not see is found before anything is committed, with real engines."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import ground
import lanes
import pytest

pytestmark = [pytest.mark.engine]

EDITED = """
import contextlib, os, pathlib, sys
from orchestrator import apply, errors, observe
from orchestrator.render import views
from orchestrator.site import load

class Progress:
    def note(self, text):
        print(text, flush=True)

    @contextlib.contextmanager
    def step(self, name, text):
        print(name, text, flush=True)
        if name == "trial":
            # Somebody edits what was staged, after the check and before the start.
            for path in pathlib.Path(state, "generations").glob("*/" + file):
                if path.parts[-1 - len(pathlib.Path(file).parts)] not in known:
                    path.write_text(path.read_text().replace(old, new))
        yield self

site, state, run, root, file, old, new = sys.argv[1:]
known = os.listdir(state + "/generations")
wanted, _ = load.read_site(site)
read = (wanted.teams.trusted_roots,)
machine = observe.Machine(views.Paths(state, run), root or None, os.environ, read)
try:
    apply.apply(wanted, machine, Progress(), lock_timeout=0)
except errors.SbcctlError as error:
    print("REFUSED", int(error.exit_code), error.message, error.words, flush=True)
"""

FAULTS = {
    "a key that fits another certificate": (
        "kamailio/tls.cfg",
        "{m.state}/certificates/current/key.pem",
        "{m.folder}/other.key",
    ),
    "a parameter that cannot be": (
        "kamailio/kamailio.cfg",
        '"{m.run_dir}/kamailio/kamailio.sock"',
        '"{m.run_dir}/nowhere/kamailio.sock"',
    ),
    "an address that is not here": (
        "kamailio/kamailio.cfg",
        "listen=tcp:192.0.2.10:",
        "listen=tcp:192.0.2.99:",
    ),
    "a table that is no table": ("kamailio/tables/route", "(", "<"),
    "a list of destinations that is none": ("kamailio/dispatcher.list", "sip:", "sip;"),
    "a port RTPEngine cannot have": (
        "rtpengine/rtpengine.conf",
        "listen-ng = 127.0.0.1:2223",
        "listen-ng = 192.0.2.99:2223",
    ),
}


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine that serves, and a site that needs a restart."""
    with ground.Ground(tmp_path_factory.mktemp("m"), lanes.root(lane)) as made:
        made.apply()
        made.write_pair("other", "sbc.example.com", number=3)
        made.write_site(("version: 1", "media: {ports: 31000-31999}\nversion: 1"))
        yield made


def left(machine: ground.Ground) -> tuple[str, ...]:
    """Everything an apply could leave behind: engines, namespaces, mounts, files."""
    links = "ls -l /proc/[0-9]*/ns/net 2>/dev/null | grep -o 'net:.*' | sort -u"
    spaces = machine.run("sh", "-c", links)
    mounts = machine.run("cat", "/proc/self/mountinfo").stdout.count("\n")
    return (
        *machine.processes("kamailio"),
        *machine.processes("rtpengine"),
        spaces.stdout,
        str(mounts),
        *sorted(path.name for path in (machine.state / "generations").iterdir()),
        *sorted(path.name for path in machine.run_dir.iterdir()),
    )


@pytest.mark.slow
def test_what_does_not_start_is_refused_before_anything_is_committed(machine):
    """The engines that run are not touched, and nothing is left."""
    current = (machine.state / "current").readlink()
    before = left(machine)
    for fault, (file, old, new) in FAULTS.items():
        old, new = (text.format(m=machine) for text in (old, new))  # noqa: PLW2901 - paths
        words = (str(machine.state), str(machine.run_dir), str(machine.root or ""), file, old, new)
        ran = machine.run(sys.executable, "-c", EDITED, str(machine.folder / "site.yaml"), *words)
        assert "REFUSED 1" in ran.stdout, f"{fault}: {ran.stdout}"
        assert "nothing was changed" in ran.stdout
        assert "commit" not in ran.stdout
        assert (machine.state / "current").readlink() == current
        assert left(machine) == before


def test_what_starts_is_applied(machine):
    """Names resolve in there, so nothing is dropped; a reload is not tried."""
    said = machine.apply().stderr
    assert "both engines start" in said
    machine.write_site(
        ("version: 1", "media: {ports: 31000-31999}\nversion: 1"),
        ("192.0.2.20:5060", "192.0.2.21:5060"),
    )
    assert "trial" not in machine.apply().stderr


@pytest.mark.slow
def test_interrupted_it_leaves_nothing(machine):
    """No process, mount, namespace or file; and the engines that run go on."""
    before = left(machine)
    engines = machine.processes("kamailio")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        running = machine.start(*machine.words("apply", str(machine.folder / "site.yaml")))
        machine.wait_until(lambda: len(machine.processes("kamailio")) > len(engines), 30)
        os.kill(sbcctl(running.pid), number)
        assert running.wait(timeout=10) != 0
        machine.wait_until(lambda: machine.processes("kamailio") == engines, 5)
        if number is not signal.SIGKILL:
            assert left(machine) == before


def sbcctl(pid: int) -> int:
    """The process itself behind nsenter, which has children of its own by now."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)
