"""The way back: whatever fails in the middle of an apply, what served before serves again."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ground
import lanes
import pytest

from orchestrator.engines import kamailio_rpc

pytestmark = [pytest.mark.engine, pytest.mark.slow]

WORKERS = ("engines: {", "engines: {workers: 3, ")
BREAKS = """
import contextlib, os, sys
from orchestrator import apply, observe
from orchestrator.render import views
from orchestrator.site import load

class Progress:
    broken = False

    def note(self, text):
        print(text, flush=True)

    @contextlib.contextmanager
    def step(self, name, text):
        print(name, text, flush=True)
        yield self
        if text == "commit" and not self.broken:
            self.broken = True
            raise ZeroDivisionError("a fault of sbcctl")

site, state, run, root = sys.argv[1:]
machine = observe.Machine(views.Paths(state, run), root or None, os.environ)
apply.apply(load.read_site(site)[0], machine, Progress(), lock_timeout=0)
"""
SILENT = """
import signal, socket
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.bind(("192.0.2.20", 5999))
print("up", flush=True)
asked = peer.recv(9999)
print(asked[:7].decode(), asked.count(b";tag="), flush=True)
signal.pause()
"""


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine that serves."""
    with ground.Ground(tmp_path_factory.mktemp("w"), lanes.root(lane)) as made:
        made.apply()
        yield made


STOP_WHILE_IT_WAITS = """
while kill -STOP $0; do
    read call rest < /proc/$0/syscall
    case $call in 232|281|22) exit 0;; esac
    kill -CONT $0
done
"""
"""In epoll_wait() or epoll_pwait(): who holds a lock and is stopped stops all others, too."""


def put_in_the_way(machine: ground.Ground) -> Path:
    """From now on Kamailio cannot be restarted: a folder lies where its pid file belongs."""
    pid = machine.run_dir / "kamailio.pid"
    pid.unlink()
    pid.mkdir()
    return pid


def current(machine: ground.Ground) -> str:
    return (machine.state / "current").readlink().name


def test_a_step_that_the_machine_refuses(machine):
    """A folder where the pid file belongs: named, put back, and Kamailio was never stopped."""
    served, runs = current(machine), machine.processes("kamailio")
    pid = put_in_the_way(machine)
    machine.write_site(WORKERS)
    ran = machine.apply(code=1)
    assert f"cannot write {pid}: is a directory" in ran.stderr
    assert f"Generation {served} was restored, read back and serves" in ran.stderr
    assert current(machine) == served
    assert machine.processes("kamailio") == runs
    pid.rmdir()
    machine.apply()


def test_a_fault_of_sbcctl_in_the_middle(machine):
    """It goes on as it is, after what served before was put back and said."""
    served = current(machine)
    machine.write_site(WORKERS)
    words = (str(machine.folder / "site.yaml"), str(machine.state), str(machine.run_dir))
    script = (sys.executable, "-c", BREAKS, *words, str(machine.root or ""))
    ran = machine.run(*script, code=1)
    assert "ZeroDivisionError: a fault of sbcctl" in ran.stderr
    assert f"Generation {served} was restored, read back and serves" in ran.stderr
    assert current(machine) == served
    machine.write_site()
    assert "nothing to do" in machine.apply().stdout


def test_a_reader_that_leaves_breaks_nothing_off(machine):
    """`sbcctl apply ... 2>&1 | head -1`: what was begun is done, read back and marked good."""
    served = current(machine)
    machine.write_site(WORKERS)
    running = machine.start(*machine.words("apply", str(machine.folder / "site.yaml")))
    assert running.stdout
    running.stdout.readline()
    running.stdout.close()
    running.wait(30)
    assert current(machine) == (machine.state / "last-known-good").readlink().name != served
    assert "nothing to do" in machine.apply().stdout


def test_a_file_edited_by_hand_is_put_back_as_it_was_rendered(machine):
    """The generation that was tried has the same file, and so it can be had again."""
    served = current(machine)
    edited = machine.state / "current/kamailio/tls.cfg"
    rendered = edited.read_text()
    edited.write_text(rendered + "# by hand\n")
    missing = machine.state / "current/rtpengine/rtpengine.conf"
    text = missing.read_text()
    missing.unlink()
    put_in_the_way(machine)
    machine.write_site(WORKERS)
    ran = machine.apply(code=1)
    assert f"Generation {served} was restored, read back and serves" in ran.stderr
    assert current(machine) == served
    assert (edited.read_text(), missing.read_text()) == (rendered, text)
    machine.write_site()
    assert "nothing to do" in machine.apply().stdout


def test_an_edit_that_cannot_be_undone_is_restored_as_it_ran(machine):
    """Nobody has the file as it was, so the edit goes with it, and that is said."""
    served = current(machine)
    edited = machine.state / "current/kamailio/kamailio.cfg"
    text = f"{edited.read_text()}# by hand\n"
    edited.write_text(text)
    put_in_the_way(machine)
    machine.write_site(WORKERS)
    ran = machine.apply(code=1)
    how = "with what somebody else had changed in kamailio/kamailio.cfg"
    assert f"Generation {served} was restored {how}, read back and serves" in ran.stderr
    assert current(machine) == served
    assert edited.read_text() == text
    machine.write_site()
    ran = machine.apply()
    assert "changed by somebody else: kamailio/kamailio.cfg" in ran.stderr
    assert edited.read_text() != text


def test_when_the_way_back_fails_too_a_human_is_called(machine):
    """Exit 4 says what failed, and what is missing on the way back."""
    (machine.state / "current/kamailio/kamailio.cfg").unlink()
    put_in_the_way(machine)
    machine.write_site(WORKERS)
    ran = machine.apply(code=4)
    assert "kamailio.pid: is a directory" in ran.stderr
    assert "the way back failed as well: generation" in ran.stderr
    assert "is damaged: kamailio/kamailio.cfg cannot be read" in ran.stderr


def test_a_certificate_that_is_not_served_makes_way_for_the_old_one(machine):
    """The worker that shakes hands stands still while the new one is installed."""
    rpc = kamailio_rpc.Rpc(machine.run_dir / "kamailio/kamailio.sock", machine.run_dir)
    workers = [each for each in rpc.call("pkg.stats") if "receiver (tls:" in each["desc"]]
    if not workers:
        pytest.skip("Kamailio before 6.0 is restarted for a new certificate")
    link = machine.state / "certificates/current"
    old, pid = link.readlink(), str(workers[0]["pid"])

    def stand_still() -> None:
        machine.wait_until(lambda: link.readlink() != old)
        machine.run("sh", "-c", STOP_WHILE_IT_WAITS, pid)
        machine.wait_until(lambda: link.readlink() == old, 30)
        machine.run("kill", "-CONT", pid)

    machine.write_pair("sbc", "sbc.example.com", number=5)
    with ThreadPoolExecutor() as threads:
        stopped = threads.submit(stand_still)
        ran = machine.apply(code=1)
        stopped.result()

    assert "no TLS handshake with 203.0.113.10:5061" in ran.stderr
    assert f"Generation {current(machine)} was restored, read back and serves" in ran.stderr
    assert link.readlink() == old


def test_ctrl_c_while_the_peers_are_asked(machine):
    """Nobody knows yet whether the changed trunk is there: what served before serves again."""
    peer = machine.start(sys.executable, "-c", SILENT)
    assert peer.stdout
    assert peer.stdout.readline() == b"up\n"
    served = current(machine)
    machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.20:5999"))
    running = machine.start(*machine.words("apply", str(machine.folder / "site.yaml")))
    assert peer.stdout.readline() == b"OPTIONS 1\n"  # one tag: tm adds it
    began = time.monotonic()
    os.kill(machine.program_of(running), signal.SIGINT)
    out, _ = running.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert running.returncode == 130, out.decode()
    assert f"interrupted. Generation {served} was restored, read back and serves" in out.decode()
    assert current(machine) == (machine.state / "last-known-good").readlink().name == served
    machine.write_site()
    assert "nothing to do" in machine.apply().stdout


def test_a_changed_trunk_that_does_not_answer(machine):
    """It is named, the change is undone; --allow-down takes it all the same and says so."""
    served = current(machine)
    machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.20:5999"))
    ran = machine.apply(code=1)
    uri = "sip:192.0.2.20:5999;transport=udp"
    assert f"trunk office does not answer OPTIONS at {uri}" in ran.stderr
    assert f"Generation {served} was restored, read back and serves" in ran.stderr
    assert "--allow-down office" in ran.stderr
    assert current(machine) == served
    assert machine.apply("--allow-down", "ofice", code=64).stderr.count("no trunk ofice") == 1
    ran = machine.apply("--allow-down", "office")
    assert f"warning: {uri} did not answer OPTIONS" in ran.stderr
    assert current(machine) != served


def test_a_trunk_that_is_down_keeps_nobody_from_changing_another(machine):
    """Only who is new or changed must answer."""
    machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.20:5999"))
    machine.apply("--allow-down", "office")
    lab = '  lab: {kind: pbx, gateways: ["sip:192.0.2.21:5060"], numbers: ["+49"]}\n'
    machine.write_site(
        ("sip:192.0.2.20:5060", "sip:192.0.2.20:5999"), ("engines: {", f"{lab}engines: {{")
    )
    ran = machine.apply()
    assert "OPTIONS to sip:192.0.2.21:5060;transport=udp" in ran.stderr
    assert "192.0.2.20:5999" not in ran.stderr
