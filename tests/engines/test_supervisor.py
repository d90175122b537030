"""Who is an engine of ours, what systemd is told, and what a machine may refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import errors
from orchestrator.engines import supervisor
from orchestrator.host import process

PAUSE = "import signal; print(flush=True); signal.pause()"
SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$0.log"
"""
UNITS = """
import pathlib, sys
from orchestrator.engines import supervisor
units = supervisor.Systemd(pathlib.Path("/nonexistent"), pathlib.Path(sys.argv[1]))
"""
INSTALL = """
names = ("sbcctl-kamailio.service", "sbcctl-rtpengine.service")
units.install_units(tuple((f"systemd/{name}", "text") for name in names))
"""
REMOVE = "units.remove_units()"


@pytest.fixture
def watch(tmp_path: Path) -> supervisor.Children:
    (tmp_path / "run").mkdir()
    (tmp_path / "state/log").mkdir(parents=True)
    return supervisor.Children(tmp_path / "state", tmp_path / "run", None, None)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Programs that end with the test."""
    programs: list[subprocess.Popen[bytes]] = []
    yield programs
    for program in programs:
        program.kill()
        program.communicate()


def run_as(name: str, *words: str) -> subprocess.Popen[bytes]:
    """A program that waits, called ``name`` in its command line, in a session of its own."""
    program = subprocess.Popen(
        [name, "-c", PAUSE, *words],
        executable=sys.executable,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert program.stdout
    program.stdout.readline()
    return program


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/usr/sbin/kamailio", ("-f", "{state}/current/kamailio/kamailio.cfg")),
        ("/usr/bin/bwrap", ("--", "/sbin/kamailio", "-f", "{state}/current/kamailio/k.cfg")),
        ("/usr/bin/env", ("--chdir=/", "kamailio", "-f", "{state}/current/kamailio/k.cfg")),
    ],
)
def test_an_engine_is_found_without_its_pid_file_and_ended(watch, started, tmp_path, name, words):
    """By its own words, also while it is on its way into an engine root."""
    words = tuple(word.format(state=tmp_path / "state") for word in words)
    line = (name, *words)
    assert supervisor.engine_words(line)[0].endswith("kamailio")
    if name.endswith("kamailio"):
        started.append(run_as(name, *words))
        assert watch.status("kamailio").running
        watch.stop("kamailio")
        assert not process.alive(started[0].pid)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tail", ("-f", "{state}/current/kamailio/kamailio.cfg")),
        ("less", ("{state}/current/kamailio",)),
        ("grep", ("kamailio", "{state}/current/kamailio/kamailio.cfg")),
        ("python3", ("watch.py", "/usr/sbin/kamailio", "{state}/current/kamailio/kamailio.cfg")),
        ("/usr/sbin/kamailio", ("-f", "/etc/kamailio/kamailio.cfg")),
        ("/usr/sbin/kamailio", ("-f", "/elsewhere{state}/current/kamailio/kamailio.cfg")),
    ],
)
def test_a_bystander_is_no_engine_and_is_left_alone(watch, started, tmp_path, name, words):
    """Whoever reads our files, and a Kamailio that is not ours, live on."""
    bystander = run_as(name, *(word.format(state=tmp_path / "state") for word in words))
    started.append(bystander)
    assert not watch.status("kamailio").running
    watch.stop("kamailio")
    watch.end_leftovers("kamailio")
    assert process.alive(bystander.pid)


def test_a_pid_file_that_cannot_be_written_ends_no_engine(watch, started, tmp_path):
    """What may fail comes first: the engine that runs goes on, and the path is named."""
    (tmp_path / "run/kamailio.pid/x").mkdir(parents=True)
    config = f"{tmp_path}/state/current/kamailio/kamailio.cfg"
    started.append(run_as("/usr/sbin/kamailio", "-f", config))
    for act in (watch.stop, lambda name: watch.start(name, ("kamailio",), "")):
        with pytest.raises(errors.HostError, match=r"cannot write .*/run/kamailio.pid: is a dir"):
            act("kamailio")
    assert watch.status("kamailio").running


def test_a_log_folder_that_is_missing_is_named(watch, tmp_path):
    """Before anything is started."""
    (tmp_path / "state/log").rmdir()
    with pytest.raises(errors.HostError, match=r"cannot write .*/log/kamailio.started: no such"):
        watch.start("kamailio", ("kamailio", "-f", "x"), "")
    with pytest.raises(errors.HostError, match=r"cannot write .*/log/kamailio.started: no such"):
        supervisor.Systemd(tmp_path / "state").start("kamailio", (), "")


def test_units_are_taken_away_again(tmp_path):
    """Disabled before they are removed, and systemd is told; twice is harmless."""
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    folder = tmp_path / "units"
    folder.mkdir()
    (folder / "ssh.service").write_text("another's")
    path = f"{program.parent}:{os.environ['PATH']}"
    for script in (REMOVE, INSTALL, REMOVE, REMOVE):
        words = [sys.executable, "-c", UNITS + script, str(folder)]
        process.run(words, timeout=20, env={**os.environ, "PATH": path}, check=True)
    assert Path(f"{program}.log").read_text().splitlines() == [
        "daemon-reload",
        "disable sbcctl-kamailio.service sbcctl-rtpengine.service",
        "daemon-reload",
    ]
    assert [path.name for path in folder.iterdir()] == ["ssh.service"]
