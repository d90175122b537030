"""Who may read what, and the users the engines run as."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePath

import pytest

from orchestrator import errors
from orchestrator.host import access, files, store
from orchestrator.render import generation as generations

Effect = generations.Effect
USERS = access.Accounts(
    kamailio=access.Account(uid=os.geteuid(), gid=os.getegid()),
    rtpengine=access.Account(uid=os.geteuid(), gid=os.getegid()),
)


@pytest.mark.parametrize(
    ("place", "alone", "shared"),
    [
        ("", 0o750, (0o711, None)),
        ("generations", 0o750, (0o711, None)),
        ("generations/abc", 0o750, (0o711, None)),
        ("generations/abc/kamailio", 0o750, (0o750, 1)),
        ("generations/abc/kamailio/tables", 0o750, (0o750, 1)),
        ("generations/abc/rtpengine", 0o750, (0o750, 2)),
        ("generations/abc/systemd", 0o750, (0o750, None)),
        ("certificates", 0o750, (0o750, 1)),
        ("certificates/abc", 0o750, (0o750, 1)),
        ("log", 0o750, (0o750, None)),
        ("keys", 0o700, (0o700, None)),
        ("acme", 0o700, (0o700, None)),
        ("acme/config", 0o700, (0o700, None)),
    ],
)
def test_a_directory_lets_in_who_has_business_there(place, alone, shared):
    """Through the upper ones everybody may pass, so that each engine gets to its own."""
    users = access.Accounts(kamailio=access.Account(1, 1), rtpengine=access.Account(2, 2))
    assert access.of_folder(PurePath(place), None) == access.Access(alone)
    found = access.of_folder(PurePath(place), users)
    assert (found.mode, found.gid, found.uid) == (*shared, None)


@pytest.mark.parametrize(
    ("place", "gid"),
    [
        ("certificates/abc/key.pem", 1),
        ("generations/abc/kamailio/tables/auth", 1),
        ("generations/abc/rtpengine/rtpengine.conf", 2),
        ("generations/abc/manifest.json", None),
        ("keys/contact", None),
    ],
)
def test_a_secret_is_read_by_its_engine_alone(place, gid):
    """0640 for the engine's group; 0600 where no engine reads it, or all run as we do."""
    users = access.Accounts(kamailio=access.Account(1, 1), rtpengine=access.Account(2, 2))
    path = PurePath(place)
    shared = access.Access(0o640, gid=gid) if gid else access.Access(0o600)
    assert access.of_file(path, secret=True, accounts=users) == shared
    assert access.of_file(path, secret=True, accounts=None) == access.Access(0o600)


def test_a_missing_user_names_the_package():
    """Debian's packages make the users; without one systemd could start nothing."""
    with pytest.raises(errors.HostError, match="no user and group no-such-engine") as caught:
        access.find_account("no-such-engine")
    assert caught.value.hint == "install it: apt-get install no-such-engine"


def written(state: Path, users: access.Accounts | None) -> store.Store:
    kept = store.Store(state, users)
    kept.prepare()
    kept.commit_certificate(kept.install_certificate(b"chain", b"key"))
    files = (
        generations.File("kamailio/kamailio.cfg", "x", Effect.KAMAILIO_RESTART),
        generations.File("kamailio/tables/auth", "x", Effect.TABLE_RELOAD, True, "auth"),
    )
    kept.commit(kept.stage(generations.Generation(files=files, skeleton="s")))
    kept.contact_key()
    return kept


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in sorted([folder, *folder.rglob("*")])
    }


def changed(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_ctime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("umask", [0o022, 0o077, 0])
def test_the_umask_changes_nothing(tmp_path: Path, umask):
    """What is written has its mode whatever the caller's umask is."""
    before = os.umask(umask)
    try:
        state = written(tmp_path / "state", USERS).state
    finally:
        os.umask(before)
    expected = {
        ".": 0o711,
        "generations": 0o711,
        "current": 0o711,
        "current/kamailio/tables": 0o750,
        "current/kamailio/kamailio.cfg": 0o644,
        "current/kamailio/tables/auth": 0o640,
        "current/manifest.json": 0o600,
        "certificates/current": 0o750,
        "certificates/current/key.pem": 0o640,
        "keys": 0o700,
        "keys/contact": 0o600,
        "acme": 0o700,
    }
    assert {place: stat.S_IMODE((state / place).stat().st_mode) for place in expected} == expected


def test_what_was_written_before_is_put_right_and_then_left_alone(tmp_path: Path):
    """From one user to the engines' own and back; a second look touches nothing."""
    state = tmp_path / "state"
    alone = modes(written(state, None).state)
    for users, expected in ((USERS, modes(written(tmp_path / "s", USERS).state)), (None, alone)):
        kept = store.Store(state, users)
        kept.prepare()
        kept.put_right()
        assert modes(state) == expected
        before = changed(state)
        kept.prepare()
        kept.put_right()
        assert changed(state) == before


def test_a_file_that_is_gone_or_never_finished_is_no_obstacle(tmp_path: Path):
    """Drift is for the plan; putting right goes on."""
    kept = written(tmp_path / "state", USERS)
    (kept.state / "current/kamailio/kamailio.cfg").unlink()
    (kept.state / "generations/half").mkdir()
    key = kept.state / "certificates/current/key.pem"
    key.chmod(0o600)
    kept.put_right()
    assert stat.S_IMODE(key.stat().st_mode) == 0o640


def test_nothing_is_written_through_a_link(tmp_path: Path):
    """A link somebody laid is replaced or refused, never followed."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o600)
    (tmp_path / ".note.new").symlink_to(victim)
    files.write(tmp_path / "note", b"new", access.Access(0o644))
    (tmp_path / "link").symlink_to(victim)
    with (
        pytest.raises(errors.HostError, match="too many levels of symbolic links"),
        files.translated(tmp_path, "change"),
    ):
        files.put_right(tmp_path / "link", access.Access(0o644))
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("mine", 0o600)
