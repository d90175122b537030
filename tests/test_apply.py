"""`sbcctl apply` on a machine of its own, with real engines of every generation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import ground
import lanes
import pytest

from orchestrator.engines import kamailio
from orchestrator.host import process
from orchestrator.site import model

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A fresh machine with this lane's engines; short paths, because unix sockets need them."""
    folder = tmp_path_factory.mktemp("m")
    with ground.Ground(folder, lanes.root(lane)) as made:
        yield made


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder with its times, but for the lock and pipes.

    A pipe's times are those of what was asked through it.
    """
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
        for path in sorted(folder.rglob("*"))
        if path.name != "lock" and "/log/" not in str(path) and not path.is_fifo()
    }


def kinds(ran: subprocess.CompletedProcess[str]) -> list[str]:
    """The steps an apply with --output json reports."""
    return [step["kind"] for step in json.loads(ran.stdout)["steps"]]


def is_old(machine: ground.Ground) -> bool:
    """Whether this lane's Kamailio is before 6.0."""
    root = process.EngineRoot(str(machine.root)) if machine.root else None
    return kamailio.probe_facts(root).version < (6, 0, 0)


def current(machine: ground.Ground) -> str:
    return str((machine.state / "current").readlink())


def test_from_nothing_to_serving_and_then_nothing_to_do(machine):
    """The first apply starts both engines; the second touches nothing."""
    first = machine.apply("--output", "json")
    assert kinds(first) == ["install-certificate", "commit", "start-rtpengine", "start-kamailio"]
    assert json.loads(first.stdout)["warnings"] == []
    assert "answered 200" in first.stderr
    assert "no answer" not in first.stderr
    assert current(machine) == str((machine.state / "last-known-good").readlink())
    before = tree(machine.state), tree(machine.run_dir)
    second = machine.apply("--output", "json")
    assert kinds(second) == []
    assert (tree(machine.state), tree(machine.run_dir)) == before
    secret = machine.state / "keys/contact"
    assert secret.stat().st_mode & 0o777 == 0o600


def test_data_is_reloaded_and_the_skeleton_restarted(machine):
    """Each change costs the cheapest step that suffices, and the engines hold it then."""
    machine.apply()
    machine.write_site(("kind: pbx,", 'kind: pbx, numbers: ["+4930", "+4940"],'))
    assert kinds(machine.apply("--output", "json")) == ["commit", "reload-table"]
    machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.21:5060"))
    changed = kinds(machine.apply("--output", "json"))
    assert changed == ["commit", "reload-addresses", "reload-table", "reload-dispatcher"]
    machine.write_site()
    changed = kinds(machine.apply("--output", "json"))
    assert changed == ["commit", "reload-addresses", "reload-dispatcher"]
    machine.write_site(("engines: {", "media: {ports: 31000-31999}\nengines: {workers: 3, "))
    changed = kinds(machine.apply("--output", "json"))
    assert changed == ["commit", "restart-rtpengine", "restart-kamailio"]
    assert kinds(machine.apply("--output", "json")) == []
    # It was asked nothing that it does not know, such as the registrations of a site without any.
    assert "callback not found" not in (machine.state / "log" / "kamailio.log").read_text()


def test_a_new_certificate_is_served(machine):
    """The serial on the wire is read back; Kamailio before 6.0 is restarted for it."""
    machine.apply()
    machine.write_pair("sbc", "*.example.com", number=3)
    ran = machine.apply("--output", "json")
    expected = "restart-kamailio" if is_old(machine) else "reload-tls"
    assert kinds(ran) == ["install-certificate", expected]
    assert kinds(machine.apply("--output", "json")) == []


def test_a_name_of_microsoft_that_does_not_resolve_is_named(machine):
    """Kamailio drops it and says ok; the next apply with DNS in order heals what is left."""
    machine.apply()
    served = current(machine)
    names = dict(ground.NAMES)
    del names["sip3.pstnhub.microsoft.com"]
    machine.set_names(names)
    time.sleep(1.5)  # for a second, which is what DNS here says, Kamailio knows the name
    machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.21:5060"))
    # Whether the way back finds the name depends on what Kamailio's DNS cache still holds.
    ran = machine.apply(code=None)
    assert ran.returncode in (1, 4)
    assert "dropped sip:sip3.pstnhub.microsoft.com:5061;transport=tls" in ran.stderr
    way_back = "was restored" if ran.returncode == 1 else "the way back failed"
    assert way_back in ran.stderr
    assert current(machine) == served
    machine.set_names(ground.NAMES)
    machine.write_site()
    # Kamailio remembers for five seconds that a name was not there (dns_cache_negative_ttl).
    for _ in range(8):
        if machine.apply(code=None).returncode == 0:
            break
        time.sleep(6)
    assert kinds(machine.apply("--output", "json")) == []


def test_a_first_apply_that_fails_leaves_nothing_running(machine):
    """What was started is stopped; there is no current generation."""
    machine.set_names({})
    ran = machine.apply(code=1)
    assert "Nothing was installed before" in ran.stderr
    assert not (machine.state / "current").is_symlink()
    assert not (machine.state / "certificates/current").is_symlink()
    assert machine.processes("kamailio") == ()
    assert machine.processes("rtpengine") == ()
    machine.set_names(ground.NAMES)
    machine.apply()


def test_an_engine_that_died_is_started_again(machine):
    """kill -9 of the first process leaves workers behind; they do not stand in the way."""
    machine.apply()
    pid = int((machine.run_dir / "kamailio.pid").read_text())
    machine.run("sh", "-c", f"kill -9 {pid}")
    assert kinds(machine.apply("--output", "json")) == ["start-kamailio"]


def test_a_file_edited_by_hand_is_put_right(machine):
    """Drift is seen by digest, named, and written anew."""
    machine.apply()
    edited = machine.state / "current/kamailio/tls.cfg"
    text = edited.read_text()
    edited.write_text(text + "# by hand\n")
    ran = machine.apply()
    assert "changed by somebody else: kamailio/tls.cfg" in ran.stderr
    assert edited.read_text() == text
    assert kinds(machine.apply("--output", "json")) == []


def test_a_taken_port_is_named_before_anything_starts(machine):
    """The message names the port and who has it; nothing was started or committed."""
    code = "import socket,signal;s=socket.socket();s.bind(('203.0.113.10',5061));s.listen();"
    holder = machine.start("python3", "-c", f"{code}print('up',flush=True);signal.pause()")
    assert holder.stdout
    assert holder.stdout.readline() == b"up\n"
    ran = machine.apply(code=6)
    assert "tls port 5061 of 203.0.113.10 is taken by python" in ran.stderr
    assert not (machine.state / "current").is_symlink()
    assert machine.processes("rtpengine") == ()


def test_an_address_of_another_machine(machine):
    """A bind address that is not here is an error before anything starts."""
    machine.write_site(("trunk_address: 192.0.2.10", "trunk_address: 192.0.2.99"))
    ran = machine.apply(code=6)
    assert "the address 192.0.2.99 is not on this machine" in ran.stderr
    assert machine.processes("rtpengine") == ()


def test_a_certificate_that_does_not_match(machine):
    """Files that cannot serve are a fault of site.yaml; nothing is touched."""
    machine.write_pair("sbc", "other.example.com", number=2)
    ran = machine.apply(code=3)
    assert "the certificate is for other.example.com, not for sbc.example.com" in ran.stderr
    assert not machine.state.exists()


def test_an_old_kamailio_must_be_accepted_in_words(machine):
    """Kamailio before 6.0 is refused with the sentence to write; 6.0 asks nothing."""
    risk = f"engines: {{accept_risk: {model.OLD_KAMAILIO_RISK}}}"
    machine.write_site((risk, ""))
    if is_old(machine):
        ran = machine.apply(code=3)
        assert "not safe as a TLS edge" in ran.stderr
        assert risk in ran.stderr
        assert not machine.state.exists()
    else:
        machine.apply()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_apply_restores_before_it_leaves(machine, number):
    """SIGTERM and Ctrl-C in the middle of the change lead back to what served before."""
    machine.apply()
    served = current(machine)
    machine.write_site(("engines: {", "engines: {workers: 3, "))
    running = machine.start(*machine.words("apply", str(machine.folder / "site.yaml")))
    machine.wait_until(lambda: current(machine) != served, seconds=30)
    os.kill(machine.program_of(running), number)
    out, _ = running.communicate(timeout=30)
    assert running.returncode == 130, out.decode()
    assert b"roll back" in out
    assert current(machine) == served
    machine.write_site()
    assert kinds(machine.apply("--output", "json")) == []


def test_only_one_at_a_time(machine):
    """A second sbcctl ends at once with exit 5 and names the first; with patience it waits."""
    machine.apply()
    lock = machine.state / "lock"
    code = (
        "import fcntl,signal,sys;f=open(sys.argv[1],'r+');fcntl.flock(f,2);f.truncate(0);"
        "f.write('4711 apply other');f.flush();print('up',flush=True);signal.pause()"
    )
    holder = machine.start("python3", "-c", code, str(lock))
    assert holder.stdout
    assert holder.stdout.readline() == b"up\n"
    ran = machine.apply(code=5)
    assert "process 4711 (apply other)" in ran.stderr
    os.kill(machine.program_of(holder), signal.SIGKILL)
    machine.apply("--lock-timeout", "20")


def test_killed_anywhere_the_next_apply_works(machine):
    """kill -9 at any moment leaves the old or the new generation, and the next apply succeeds."""
    machine.apply()
    for round_number, delay in enumerate((0.35, 0.5, 0.6, 0.7, 0.9)):
        ports = f"media: {{ports: 3{round_number}000-3{round_number}999}}\nengines: {{"
        workers = f"workers: {2 + round_number % 2}, "
        machine.write_site(("engines: {", ports + workers))
        running = machine.start(*machine.words("apply", str(machine.folder / "site.yaml")))
        time.sleep(delay)
        os.kill(machine.program_of(running), signal.SIGKILL)
        running.communicate(timeout=30)
        assert (machine.state / "current/manifest.json").exists()
        machine.apply()
        assert kinds(machine.apply("--output", "json")) == []
