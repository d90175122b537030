"""The world: it answers from every namespace, and whatever ends it, nothing of it is left."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.lab import addresses, preflight, world

PROGRAM = Path(__file__).with_name("inside.py")
PLACE = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        bool(preflight.find_missing(None)), reason="the lab's programs are not installed"
    ),
]


def environment(mark: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PLACE), "SBCCTL_TEST_MARK": mark}


def marked(mark: str) -> dict[int, str]:
    """The processes that have the mark in their environment, with their names."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "comm").read_text(encoding="ascii").strip()
    return found


def traces() -> tuple[object, ...]:
    """What a lab could leave behind on this machine, processes aside."""
    return (
        Path("/proc/self/mounts").read_text(encoding="utf-8"),
        sorted(Path("/run/netns").glob("*")) if Path("/run/netns").is_dir() else None,
        sorted(Path("/sys/class/net").iterdir()),
        world.HOME.exists(),
        sorted(Path("/tmp").glob("sbcctl*")),
    )


def wait_until_gone(mark: str) -> dict[int, str]:
    """Wait until no marked process is left, ten seconds at most; what is left."""
    end = time.monotonic() + 10
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.02)
    return left


@pytest.fixture
def mark() -> Iterator[str]:
    mark = secrets.token_hex(16)
    yield mark
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def held(mark: str) -> Iterator[subprocess.Popen[str]]:
    """A world that is up and stays."""
    with started(mark, "hold") as chain:
        yield chain


@contextlib.contextmanager
def started(mark: str, word: str) -> Iterator[subprocess.Popen[str]]:
    """The program inside.py, when it has said that it is up."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), word],
        env=environment(mark),
        stdout=subprocess.PIPE,
        text=True,
    ) as chain:
        assert chain.stdout is not None
        assert chain.stdout.readline() == "up\n"
        yield chain
        chain.kill()


def run(mark: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(PROGRAM), *words]
    return subprocess.run(
        argv, env=environment(mark), capture_output=True, text=True, timeout=60, check=False
    )


def test_the_world_answers_and_leaves_nothing(mark: str) -> None:
    before = traces()
    ran = run(mark, "world")
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert seen["names"] == {
        addresses.SBC_FQDN: [addresses.SBC_PUBLIC],
        "sip3.pstnhub.microsoft.com": ["198.51.100.13"],
        addresses.ACME_HOST: [addresses.ACME_ADDRESS],
        "nobody.example.com": [],
    }
    assert seen["getaddrinfo"] == "198.51.100.11"
    assert seen["https"] == "200"
    assert seen["new_order"]
    assert seen["trusted"]
    assert seen["lan_from_internet"] == "Network is unreachable"
    assert seen["datagram"] == f"hello from {addresses.PBX_ADDRESS}"
    assert seen["stream_again"]
    assert seen["spare"] == [True, False, True, False]
    assert wait_until_gone(mark) == {}
    assert traces() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_world_in_order(
    held: subprocess.Popen[str], mark: str, number: signal.Signals
) -> None:
    assert {"named", "pebble"} <= set(marked(mark).values())
    held.send_signal(number)
    # SIGHUP has no handler in this program: it ends as the signal ends it.
    assert held.wait(10) == (129 if number == signal.SIGHUP else 130)
    assert wait_until_gone(mark) == {}


def test_a_second_signal_ends_what_does_not_listen(mark: str) -> None:
    with started(mark, "deaf") as chain:
        chain.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            chain.wait(0.3)
        chain.send_signal(signal.SIGINT)
        assert chain.wait(10) == 137
        assert wait_until_gone(mark) == {}


@pytest.mark.parametrize("link", ["we", "unshare", "first", "program"])
def test_kill_9_of_any_link_leaves_nothing(
    held: subprocess.Popen[str], mark: str, link: str
) -> None:
    before = traces()
    chain = {"we": held.pid}
    for parent, child in (("we", "unshare"), ("unshare", "first"), ("first", "program")):
        chain[child] = min(children(chain[parent]))
    os.kill(chain[link], signal.SIGKILL)
    assert held.wait(10) != 0
    assert wait_until_gone(mark) == {}
    assert traces() == before


def children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            stat = (entry / "stat").read_text(encoding="utf-8")
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("code", [0, 1, 6, 130])
def test_the_exit_code_comes_through(mark: str, code: int) -> None:
    assert run(mark, "sandbox", str(code)).returncode == code


def test_two_worlds_stand_side_by_side(held: subprocess.Popen[str], mark: str) -> None:
    ran = run(mark, "world")
    assert ran.returncode == 0, ran.stderr
    assert held.poll() is None


def test_whoever_is_not_root_gets_the_same_world(mark: str, tmp_path: Path) -> None:
    """Without root the sandbox has a user namespace of its own."""
    if os.getuid() != 0:
        pytest.skip("all other tests ran without root")
    python = Path("/usr/bin/python3")
    if not python.exists() or f"python{sys.version_info[0]}.{sys.version_info[1]}" not in str(
        python.resolve()
    ):
        pytest.skip("no python3 of the same version that everybody may run")
    libraries = os.pathsep.join([str(PLACE), *(p for p in sys.path if "site-packages" in p)])
    drop = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    ran = subprocess.run(
        [*drop, str(python), str(PROGRAM), "world"],
        env={**environment(mark), "PYTHONPATH": libraries, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "ModuleNotFoundError" in ran.stderr or "Permission denied" in ran.stderr:
        pytest.skip("the checkout or its libraries are readable by root only")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["https"] == "200"
    assert wait_until_gone(mark) == {}
