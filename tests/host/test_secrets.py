"""Secrets are found, guarded, and never said aloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import errors
from orchestrator.host import secrets
from orchestrator.site import model

WHAT = "phones.users.reception.password"


def resolve(env: dict[str, str] | None = None, **way) -> str:
    return secrets.resolve(model.Secret(**way), what=WHAT, env=env or {})


def test_each_way_gives_the_first_line(tmp_path: Path):
    """Environment, file, systemd credential and command."""
    path = tmp_path / "phone"
    path.write_text("hidden\nmore\n")
    path.chmod(0o600)
    folder = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    variable = model.Secret(env="PHONE")
    assert secrets.resolve(variable, what=WHAT, env={"PHONE": "hidden"}) == "hidden"
    assert resolve(file=str(path)) == "hidden"
    assert resolve(folder, credential="phone") == "hidden"
    assert resolve(command=("sh", "-c", "echo hidden; echo more")) == "hidden"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode):
    """The message says the mode, the hint says how to close it; the value is not in either."""
    path = tmp_path / "phone"
    path.write_text("hidden\n")
    path.chmod(mode)
    with pytest.raises(errors.HostError) as caught:
        resolve(file=str(path))
    assert f"(mode {mode:04o})" in caught.value.message
    assert caught.value.hint == f"chmod 600 {path}"
    assert "hidden" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ({"env": "PHONE"}, "environment variable PHONE, which is not set"),
        ({"file": "/nonexistent/phone"}, "cannot read /nonexistent/phone"),
        ({"credential": "phone"}, "systemd passed no credentials"),
        ({"command": ("sh", "-c", "echo hidden; echo no >&2; exit 4")}, "exit code 4: no"),
        ({"command": ("true",)}, "is empty"),
        ({"command": ("no-such-program",)}, "no-such-program is not installed"),
    ],
)
def test_what_cannot_be_had_is_said(way, said):
    """Where in site.yaml, what is wrong, and what next."""
    with pytest.raises(errors.HostError) as caught:
        secrets.resolve(model.Secret(**way), what=WHAT, env={})
    assert said in caught.value.message
    assert caught.value.hint
    assert "hidden" not in caught.value.message + caught.value.hint
