"""The state directory: whole or old, locked, read back, and clear when the disk says no."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import errors
from orchestrator.host import cleaning, store
from orchestrator.render import generation as generations
from orchestrator.render import wanted

Effect = generations.Effect


def made(text: str = "one") -> generations.Generation:
    return generations.Generation(
        files=(
            generations.File("kamailio/kamailio.cfg", text, Effect.KAMAILIO_RESTART),
            generations.File("kamailio/tables/auth", "x", Effect.TABLE_RELOAD, True, "auth"),
        ),
        skeleton="s",
    )


@pytest.fixture
def kept(tmp_path: Path) -> store.Store:
    kept = store.Store(tmp_path / "state", None)
    kept.prepare()
    return kept


def test_staged_committed_and_read_back(kept):
    """What was written comes back as the same value; secrets are for their owner only."""
    name = kept.stage(made())
    assert kept.current() is None
    kept.commit(name)
    kept.mark_good(name)
    stored = kept.load(name)
    assert stored is not None
    assert (stored.generation, stored.digest) == (made(), made().digest)
    assert kept.current() == kept.last_known_good() == name
    folder = kept.state / "current"
    assert (folder / "kamailio/tables/auth").stat().st_mode & 0o777 == 0o600
    assert (folder / "kamailio/kamailio.cfg").stat().st_mode & 0o777 == 0o644


def test_an_edited_file_is_drift_and_staging_puts_it_right(kept):
    """Only the edited file is written again."""
    name = kept.stage(made())
    path = kept.state / "generations" / name / "kamailio/kamailio.cfg"
    other = path.parent / "tables/auth"
    untouched = other.stat().st_mtime_ns
    path.write_text("by hand")
    stored = kept.load(name)
    assert stored is not None
    assert stored.drifted == ("kamailio/kamailio.cfg",)
    kept.stage(made())
    assert path.read_text() == "one"
    assert other.stat().st_mtime_ns == untouched
    path.unlink()
    stored = kept.load(name)
    assert stored is not None
    assert stored.drifted == ("kamailio/kamailio.cfg",)


def hosting() -> generations.Generation:
    """Kamailio reads the tables of such a generation from a database."""
    config = f'modparam("htable", "db_url", "sqlite:///x/current/{wanted.DATABASE}")\n'
    row = "key_name(string) ...\n=+4930:0:0:a.sbc.example.com:0\n"
    return generations.Generation(
        files=(
            generations.File(wanted.KAMAILIO_CONFIG, config, Effect.KAMAILIO_RESTART),
            generations.File("kamailio/tables/number", row, Effect.TABLE_RELOAD, True, "number"),
        ),
        skeleton="s",
    )


def rows_in(path: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as read:
        return read.execute("SELECT key_name, key_value FROM number").fetchall()


def edit(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as changed, changed:
        changed.execute("UPDATE number SET key_value = 'b.sbc.example.com'")


SPOILS: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "removed": Path.unlink,
    "one row": edit,
}


@pytest.mark.parametrize("how", SPOILS)
def test_a_damaged_database_is_drift_and_staging_makes_it_anew(kept, how):
    """Kamailio starts from nothing else, and would come up without numbers, or with wrong ones."""
    name = kept.stage(hosting(), "where it came from")
    path = kept.state / "generations" / name / wanted.DATABASE
    held = rows_in(path)
    assert held == [("=+4930", "a.sbc.example.com")]
    stored = kept.load(name)
    assert stored is not None
    assert (stored.drifted, stored.missing) == ((), ())

    SPOILS[how](path)
    stored = kept.load(name)
    assert stored is not None
    assert stored.drifted == (wanted.DATABASE,)
    assert stored.missing == ((wanted.DATABASE,) if how == "removed" else ())
    kept.stage(hosting())
    assert rows_in(path) == held
    assert path.stat().st_mode & 0o777 == 0o600
    stored = kept.load(name)
    assert stored is not None
    assert (stored.drifted, kept.origin(name)) == ((), "where it came from")


def test_a_database_nobody_knows_is_made_anew(kept):
    """Manifests before this had no digest of it; whether it was changed cannot be told."""
    name = kept.stage(hosting())
    folder = kept.state / "generations" / name
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["database"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    edit(folder / wanted.DATABASE)
    stored = kept.load(name)
    assert stored is not None
    assert stored.drifted == ()
    kept.stage(hosting())
    assert rows_in(folder / wanted.DATABASE) == [("=+4930", "a.sbc.example.com")]
    edit(folder / wanted.DATABASE)
    stored = kept.load(name)
    assert stored is not None
    assert stored.drifted == (wanted.DATABASE,)


def another(number: str = "+4931") -> generations.Generation:
    """A generation like the hosting one, with one row more."""
    config, table = hosting().files
    row = f"={number}:0:0:a.sbc.example.com:0\n"
    more = generations.File(table.path, table.text + row, table.effect, True, table.table)
    return generations.Generation(files=(config, more), skeleton="s")


def test_a_database_is_made_of_the_last_one_if_that_is_whole(kept):
    """What somebody changed in one generation is not taken over into the next."""
    config, table = hosting().files
    expected = [("=+4930", "a.sbc.example.com"), ("=+4931", "a.sbc.example.com")]
    for place in (None, wanted.DATABASE, table.path, config.path):
        name = kept.stage(hosting())
        folder = kept.state / "generations" / name
        if place == wanted.DATABASE:
            edit(folder / place)
        elif place:
            (folder / place).write_text(hosting().file(place).text + "# by hand\n")
        after = kept.stage(another(), "", kept.load(name))
        assert rows_in(kept.state / "generations" / after / wanted.DATABASE) == expected
        loaded = kept.load(after)
        assert loaded is not None
        assert loaded.drifted == ()
        kept.discard(after)


def test_a_last_generation_that_changed_after_it_was_read_is_not_built_upon(kept):
    """Its database is read again, and compared with the digest of what was written."""
    name = kept.stage(hosting())
    last = kept.load(name)
    edit(kept.state / "generations" / name / wanted.DATABASE)
    after = kept.stage(another(), "", last)
    held = rows_in(kept.state / "generations" / after / wanted.DATABASE)
    assert held == [("=+4930", "a.sbc.example.com"), ("=+4931", "a.sbc.example.com")]


def origins(kept: store.Store, name: str) -> list[str]:
    folder = kept.state / "generations" / name
    return [path.read_text() for path in folder.glob("origin.*")]


def test_where_a_generation_came_from_is_known_while_it_is_whole(kept):
    """It stands beside the manifest, for its owner only; damaged it says nothing until mended."""
    name = kept.stage(made(), "first")
    assert (kept.origin(name), origins(kept, name)) == ("first", ["first"])
    kept.stage(made())
    assert kept.origin(name) == "first"
    kept.stage(made(), "second")
    assert (kept.origin(name), origins(kept, name)) == ("second", ["second"])
    (path,) = (kept.state / "generations" / name).glob("origin.*")
    assert path.stat().st_mode & 0o777 == 0o600
    for spoil in (lambda: path.write_bytes(b"\xff"), path.unlink, lambda: path.write_text("x")):
        spoil()
        assert kept.origin(name) == ""
        loaded = kept.load(name)
        assert loaded is not None
        assert loaded.drifted == ()
        kept.stage(made(), "second")
        assert (kept.origin(name), origins(kept, name)) == ("second", ["second"])


def test_where_a_generation_of_before_came_from_is_known(kept):
    """Its manifest holds the text; it lies beside it from the next time on that it is staged."""
    name = kept.stage(made(), "first")
    folder = kept.state / "generations" / name
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["source"]
    (folder / "manifest.json").write_text(json.dumps({**manifest, "origin": "inside"}))
    assert kept.origin(name) == "inside"
    kept.stage(made())
    assert (kept.origin(name), origins(kept, name)) == ("inside", ["inside"])
    assert "inside" not in (folder / "manifest.json").read_text()


def test_what_was_never_finished_is_never_used(kept):
    """Without a manifest, or with half of one, a directory is no generation."""
    name = kept.stage(made())
    manifest = kept.state / "generations" / name / "manifest.json"
    whole = manifest.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        manifest.write_bytes(whole[:cut])
        assert kept.load(name) is None
    manifest.unlink()
    assert kept.load(name) is None
    assert kept.stage(made()) == name
    assert kept.load(name) is not None


def test_old_certificates_go_with_their_keys(kept):
    """The one in use and the one in use before it stay, whatever else was laid beside."""
    names = [kept.install_certificate(f"chain {n}".encode(), b"key") for n in range(4)]
    for age, name in enumerate(names):
        os.utime(kept.state / "certificates" / name, (1_000_000 - age, 1_000_000 - age))
    kept.commit_certificate(names[3])
    kept.commit_certificate(names[2])
    assert set(cleaning.prune_certificates(kept)) == {names[0], names[1]}
    assert kept.certificate() == names[2]
    there = {path.name for path in (kept.state / "certificates").iterdir()}
    assert there == {"current", names[2], names[3]}
    assert cleaning.prune_certificates(kept) == ()


def test_each_commit_is_newer_in_whole_seconds(kept):
    """db_text reads a table again only when its file is a second newer; also on the way back."""
    first, second = kept.stage(made("one")), kept.stage(made("two"))
    stamps = []
    for name in (first, second, first, second):
        kept.commit(name)
        stamps.append(int((kept.state / "current/kamailio/tables/auth").stat().st_mtime))
    assert stamps == sorted(set(stamps))


def test_old_generations_go_but_not_those_in_use(kept):
    """Five are kept beside the current and the last known good one."""
    names = [kept.stage(made(str(number))) for number in range(9)]
    for age, name in enumerate(reversed(names)):
        os.utime(kept.state / "generations" / name, (10_000 - age, 10_000 - age))
    kept.commit(names[8])
    kept.mark_good(names[0])
    os.utime(kept.state / "generations" / names[8], (10_000, 10_000))
    assert set(cleaning.prune_generations(kept)) == set(names[1:3])
    left = {path.name for path in (kept.state / "generations").iterdir()}
    assert left == {names[0], *names[3:]}


def test_the_holder_of_the_lock_is_named(kept):
    """A second holder is told who; after its death the lock is free."""
    code = (
        "import sys;from pathlib import Path;from orchestrator.host import store\n"
        "with store.Store(Path(sys.argv[1]), None).lock(timeout=0, command='apply fra1'):\n"
        "    print('up', flush=True);sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(kept.state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"up\n"
        with (
            pytest.raises(
                errors.LockHeld,
                match=rf"process {holder.pid} \(apply fra1\), since {time.gmtime().tm_year}-",
            ),
            kept.lock(timeout=0.1, command="apply"),
        ):
            pass
        holder.kill()
    with kept.lock(timeout=0, command="apply"):
        pass


def test_the_contact_key_is_made_once(kept):
    """256 bits, for its owner only, always the same."""
    key = kept.contact_key()
    assert len(bytes.fromhex(key)) == 32
    assert kept.contact_key() == key
    assert (kept.state / "keys/contact").stat().st_mode & 0o777 == 0o600


def test_a_certificate_has_its_own_directory_and_a_link(kept):
    """Installed beside, then linked; the key is for its owner only."""
    name = kept.install_certificate(b"chain", b"key")
    assert kept.certificate() is None
    kept.commit_certificate(name)
    assert kept.certificate() == name
    assert kept.read_certificate(name) == (b"chain", b"key")
    served = kept.state / "certificates/current/key.pem"
    assert served.stat().st_mode & 0o777 == 0o600
    kept.commit_certificate(None)
    assert kept.certificate() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, needs root")
def test_a_full_disk_is_named_and_the_old_generation_serves(tmp_path: Path):
    """ENOSPC on a real, full file system: which path, what to do, nothing changed."""
    code = (
        "import sys;from pathlib import Path;from orchestrator.host import store\n"
        "sys.path.insert(0, sys.argv[2]);import test_store\n"
        "from orchestrator import errors\n"
        "kept = store.Store(Path(sys.argv[1]), None);kept.prepare()\n"
        "old = kept.stage(test_store.made('one'));kept.commit(old)\n"
        "try: kept.commit(kept.stage(test_store.made('x' * 300000)))\n"
        "except errors.HostError as e: print(e.message, '|', e.hint, '|', kept.current() == old)\n"
        "print([path.name for path in (kept.state / 'generations').iterdir()] == [old])"
    )
    mount = f"mount -t tmpfs -o size=200k none {tmp_path}"
    ran = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-ec", f'{mount}; exec "$@"', "sh"),
            *(sys.executable, "-c", code, str(tmp_path / "s"), str(Path(__file__).parent)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no space left on device" in ran.stdout, ran.stderr
    assert f"cannot write {tmp_path}/s/generations/" in ran.stdout
    assert ran.stdout.strip().endswith("| True\nTrue")
    assert "free some space" in ran.stdout


def test_no_privilege_says_what_to_do(tmp_path: Path):
    """A directory that cannot be made or written is named, with the way out."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(errors.HostError) as caught:
        store.Store(blocked / "state", None).prepare()
    assert str(blocked) in caught.value.message
