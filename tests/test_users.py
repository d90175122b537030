"""Engines that run as users of their own: they start, serve, and nobody reads more than he needs.

Without systemd: what it would do with the rendered units is done with setpriv, in harder form.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import ground
import lanes
import pytest

from orchestrator.host import process

SCRIPT = str(Path(__file__).with_name("inspect_sbc.py"))
NOBODY = "65534:65534"
ENGINES = ("kamailio", "rtpengine")
BARE = (
    *("--clear-groups", "--inh-caps=-all", "--ambient-caps=-all"),
    *("--bounding-set=-all", "--no-new-privs"),
)

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="other users can be had by root only"),
]


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine with this lane's engines, in a folder that everybody may pass through."""
    folder = tmp_path_factory.mktemp("u")
    folder.chmod(0o711)
    with ground.Ground(folder, lanes.root(lane)) as made:
        # The folders above let nobody pass; on the machine, others lie over them.
        closed = next(above for above in reversed(folder.parents) if not above.stat().st_mode & 1)
        cover = f"mount -t tmpfs -o mode=755 none {closed}; mkdir -p {folder}"
        made.run("sh", "-ec", f"mount --bind {folder} /mnt; {cover}; mount --move /mnt {folder}")
        yield made


def user(machine: ground.Ground, name: str) -> str:
    """UID:GID of an engine's user, in the tree the engine comes from."""
    lines = ((machine.root or Path("/")) / "etc/passwd").read_text().splitlines()
    fields = next(line.split(":") for line in lines if line.startswith(f"{name}:"))
    return f"{fields[2]}:{fields[3]}"


def as_user(who: str, *argv: str) -> tuple[str, ...]:
    """The argv that runs a program as UID:GID without any privilege."""
    uid, _, gid = who.partition(":")
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", *BARE, *argv)


def ask(machine: ground.Ground, verb: str, *arguments: str) -> object:
    places = (str(machine.state), str(machine.run_dir))
    words = (sys.executable, "-W", "error", SCRIPT, verb, *places, *arguments)
    env = {"PYTHONPATH": str(ground.HERE.parent)}
    return json.loads(machine.run(*words, env=env).stdout)


def apply(machine: ground.Ground) -> object:
    """Apply as where systemd runs: the engines' users are let in."""
    users = (user(machine, "kamailio"), user(machine, "rtpengine"))
    return ask(machine, "apply", tree(machine), str(machine.folder / "site.yaml"), *users)


def tree(machine: ground.Ground) -> str:
    return str(machine.root or "-")


def start_as_units_do(machine: ground.Ground) -> None:
    """Run the ExecStart of both rendered units as the User they name."""
    inside: tuple[str, ...] = ()
    if machine.root:
        shared = (str(machine.state), str(machine.run_dir))
        roots = (str(machine.folder / "ca.pem"), "/etc/resolv.conf")
        inside = process.EngineRoot(str(machine.root), write=shared, read=roots).prefix()
    for name in reversed(ENGINES):
        text = (machine.state / f"current/systemd/sbcctl-{name}.service").read_text()
        told = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        assert told["User"] == told["Group"] == name
        command = as_user(user(machine, told["User"]), *told["ExecStart"].split())
        machine.start("setsid", *inside, *command)


def engine_users(machine: ground.Ground) -> set[str]:
    """The users of all running engine processes, as numbers."""
    return {told["Uid"].split()[0] for told in machine.statuses(*ENGINES)}


def may(machine: ground.Ground, who: str, *argv: str) -> bool:
    """Whether a user can do something; a refusal must be one of permission."""
    ran = machine.run(*as_user(who, *argv), code=None)
    assert ran.returncode == 0 or "Permission denied" in ran.stderr, ran.stderr
    return ran.returncode == 0


def test_engines_serve_as_users_without_any_privilege(machine):
    """TLS, RPC and tables work across users; what was root's alone before is put right."""
    machine.apply()
    assert apply(machine) == []
    ask(machine, "stop", tree(machine))
    assert engine_users(machine) == set()
    start_as_units_do(machine)
    machine.wait_until(lambda: "203.0.113.10:5061" in machine.run("ss", "-Hltn").stdout)
    users = {user(machine, name).split(":")[0] for name in ENGINES}
    assert engine_users(machine) == users
    assert ask(machine, "read-back") == {"differences": [], "serves": True}


def test_nobody_reads_more_than_he_needs(machine):
    """Kamailio its own, RTPEngine its own, others nothing; sbcctl's own is for nobody."""
    apply(machine)
    kamailio, rtpengine = user(machine, "kamailio"), user(machine, "rtpengine")
    state, own = machine.state, machine.run_dir / "kamailio"
    readers = {
        state / "certificates/current/key.pem": {kamailio},
        state / "current/kamailio/tables/auth": {kamailio},
        state / "current/kamailio/tables/secret": {kamailio},
        state / "current/kamailio/kamailio.cfg": {kamailio},
        state / "current/rtpengine/rtpengine.conf": {rtpengine},
        state / "current/systemd/sbcctl-kamailio.service": set(),
        state / "current/manifest.json": set(),
        state / "keys/contact": set(),
        machine.run_dir / "loaded.json": set(),
    }
    for path, expected in readers.items():
        everybody = (kamailio, rtpengine, NOBODY)
        found = {who for who in everybody if may(machine, who, "cat", str(path))}
        assert (path, found) == (path, expected)
    for folder in (state, state / "acme", state / "current", machine.run_dir, own):
        found = {who for who in (kamailio, NOBODY) if may(machine, who, "touch", f"{folder}/x")}
        assert (folder, found) == (folder, {kamailio} if folder == own else set())
