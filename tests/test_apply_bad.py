"""What a machine may lack while sbcctl applies: one message, the exit code, nothing changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import bad_pairs
import ground
import lanes
import pytest

# Bad input is the same on every lane.
pytestmark = [
    pytest.mark.engine,
    pytest.mark.parametrize("lane", lanes.floor(), indirect=True),
]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="changes users and mounts, needs root")


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    with ground.Ground(tmp_path_factory.mktemp("b"), lanes.root(lane)) as made:
        yield made


def test_an_engine_that_is_not_installed(machine, tmp_path: Path):
    """The program and its Debian package are named; no directory is made."""
    machine.root = tmp_path
    ran = machine.apply(code=6)
    assert f"kamailio is not installed on the engine root {tmp_path}" in ran.stderr
    assert "apt-get install kamailio" in ran.stderr
    assert not machine.state.exists()


@AS_ROOT
def test_without_privilege(machine):
    """Which directory, and what to do."""
    foreign = machine.folder / "foreign"
    foreign.mkdir()
    os.chown(foreign, 65534, 65534)
    words = machine.words("--state-dir", f"{foreign}/state", "apply")
    site = str(machine.folder / "site.yaml")
    ran = machine.run("setpriv", "--bounding-set=-all", *words, site, code=6)
    if machine.root:  # without privilege nobody gets into an engine root
        assert "bwrap: Creating new namespace failed" in ran.stderr
        return
    assert f"cannot write {foreign}/state: permission denied" in ran.stderr
    assert "run sbcctl as the owner of that directory (root), or use --state-dir" in ran.stderr


@AS_ROOT
def test_a_disk_that_fills_up(machine):
    """The path is named, the old generation serves, and with space the apply goes through."""
    machine.state.mkdir()
    machine.run("mount", "-t", "tmpfs", "-o", "size=500k", "none", str(machine.state))
    machine.apply()
    served = machine.run("readlink", str(machine.state / "current")).stdout
    machine.run("dd", "if=/dev/zero", f"of={machine.state}/ballast", "bs=1k", code=1)
    machine.write_site(("kind: pbx,", 'kind: pbx, numbers: ["+4930"],'))
    ran = machine.apply(code=6)
    assert "no space left on device" in ran.stderr
    assert f"cannot write {machine.state}/generations/" in ran.stderr
    assert machine.run("readlink", str(machine.state / "current")).stdout == served
    machine.run("rm", f"{machine.state}/ballast")
    machine.apply()


def test_a_secret_that_is_not_there(machine):
    """The variable is named with its place in site.yaml; nothing was touched."""
    phones = (
        "phones: {realm: sbc.example.com, users: {reception: {number: '5', password: {env: P}}}}"
    )
    machine.write_site(("engines: {", f"{phones}\nengines: {{"))
    ran = machine.apply(code=6)
    assert "phones.users.reception.password refers to the environment variable P" in ran.stderr
    assert not machine.state.exists()


def test_roots_that_cannot_be_used(machine):
    """Kamailio reads them only when it starts, so they are read before anything is touched."""
    roots = machine.folder / "ca.pem"
    kept = roots.read_bytes()
    roots.unlink()
    ran = machine.apply(code=3)
    assert not machine.state.exists()
    assert (
        f"site.yaml:8:18: error[unfit-roots]: {roots} cannot be used: no such file" in ran.stderr
    )
    roots.write_bytes(kept)
    machine.apply()
    runs = machine.processes("kamailio")
    roots.write_bytes(kept.replace(b"A", b"!"))
    machine.write_site(("engines: {", "engines: {workers: 3, "))
    ran = machine.apply(code=3)
    assert "cannot be used: it holds no certificates in PEM form" in ran.stderr
    assert machine.processes("kamailio") == runs
    roots.write_bytes(b"")
    machine.apply(code=3)
    roots.write_bytes(b"# a comment\n" + kept + kept)
    machine.apply()


def test_an_engine_that_dies_right_after_its_start(machine):
    """Its last words are shown, without clutter; once the cause is gone it starts again."""
    machine.apply()
    sock = machine.run_dir / "kamailio/kamailio.sock"
    machine.run("sh", "-c", f"pkill -9 kamailio; rm -f {sock}; mkdir -p {sock}/in-the-way")
    ran = machine.apply(code=4)
    assert "kamailio ended right after its start" in ran.stderr
    assert "jsonrpcs cannot delete old socket: Is a directory" in ran.stderr
    assert "the way back failed in the same way" in ran.stderr
    machine.run("rm", "-r", str(sock))
    machine.apply()


def test_music_that_cannot_be_played(machine):
    """A held call would stay silent; it is said before anything is touched."""
    machine.write_site(("kind: pbx,", "kind: pbx, hold_music: /nowhere.wav,"))
    ran = machine.apply(code=3)
    assert "error[unfit-music]: /nowhere.wav cannot be played: no such file" in ran.stderr
    machine.write_site(("kind: pbx,", "kind: pbx, hold_music: /etc/passwd,"))
    ran = machine.apply(code=3)
    assert "/etc/passwd cannot be played: it is no WAV file" in ran.stderr
    assert not machine.state.exists()


SERVED = ("openssl", "s_client", "-connect", "203.0.113.10:5061", "-no_ign_eof")


def test_a_pair_that_is_bad_is_refused_and_the_old_one_served(machine):
    """What is wrong is said with its place in site.yaml; the listener shows the same as before."""
    machine.apply()
    served = machine.run(*SERVED, code=None).stdout
    number = served[served.index("-----BEGIN") :][:400]
    kinds = {kind: (chain, key, said) for kind, chain, key, said in bad_pairs.PAIRS}
    for kind in ("stands alone", "encrypted key", "key in the chain", "wrong order", "expired"):
        chain, key, said = kinds[kind]
        (machine.folder / "sbc.chain").write_bytes(chain)
        (machine.folder / "sbc.key").write_bytes(key)
        ran = machine.apply(code=3)
        assert said in ran.stderr, kind
        assert "error[unfit-certificate]" in ran.stderr
    assert number in machine.run(*SERVED, code=None).stdout
