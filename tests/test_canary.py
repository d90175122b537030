"""No secret is ever shown: one is put everywhere a site takes one, and looked for everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import ground
import lanes
import pytest

pytestmark = [pytest.mark.engine]

CANARY = "Canary-7f3a-Sings"
OTHER = "Canary-9b1c-Sings"
SITE = (
    ("kind: pbx,", "kind: pbx, digest: {user: us, password: {env: TRUNK_PASSWORD}},"),
    (
        "engines: {",
        """phones:
  realm: sbc.example.com
  users: {reception: {number: "+493055500", password: {file: FOLDER/secret}}}
engines: {""",
    ),
)


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    with ground.Ground(tmp_path_factory.mktemp("y"), lanes.root(lane)) as made:
        yield made


def put(machine: ground.Ground, secret: str) -> None:
    """Use a secret from now on, from a file and from the environment."""
    file = machine.folder / "secret"
    file.write_text(f"{secret}\n")
    file.chmod(0o600)
    site = machine.folder / "site.yaml"
    machine.write_site(*SITE)
    site.write_text(site.read_text().replace("FOLDER", str(machine.folder)))


def test_a_secret_is_in_no_output_and_in_no_file_that_others_read(machine):
    """Every verb that sees it, as text and as JSON, when all goes well and when it fails."""
    said: list[str] = []
    site, saved = str(machine.folder / "site.yaml"), str(machine.folder / "plan.json")

    def sbcctl(*words: str, secret: str = CANARY) -> None:
        for output in ("text", "json"):
            argv = machine.words(*words, "--output", output, "--debug")
            ran = machine.run(*argv, code=None, env={"TRUNK_PASSWORD": secret})
            said.append(f"{words}: {ran.stdout}{ran.stderr}")
            assert "mistake of its own" not in said[-1]

    put(machine, CANARY)
    for words in (
        ("validate", site),
        ("plan", site, "--out", saved),
        ("show", saved),
        ("apply", site),
        ("apply", site, "--lock-timeout", "1"),
        ("diff", site),
        ("status",),
        ("history",),
    ):
        sbcctl(*words)
    put(machine, OTHER)
    for words in (("plan", site, "--out", saved), ("diff", site)):
        sbcctl(*words, secret=OTHER)
        # That they changed is told, by digests that nobody can try out.
        assert re.search(r"secret:\w{8}", said[-2]), said[-2]
    for words in (("show", saved), ("apply", saved), ("status",), ("history",)):
        sbcctl(*words, secret=OTHER)
    for words in (("doctor", "--offline", site), ("validate", "--level", "live", site)):
        sbcctl(*words, secret=OTHER)
    # It cannot be had, and the site is none.
    (machine.folder / "secret").unlink()
    sbcctl("apply", site)
    (machine.folder / "site.yaml").write_text(f"version: 1\nphones: {{password: {CANARY}}}\n")
    shown = machine.run(*machine.words("rollback"), code=None).stderr
    assert CANARY not in shown
    assert OTHER not in shown
    for text in said:
        assert CANARY not in text
        assert OTHER not in text
    assert readable_with(machine.folder, CANARY.encode(), OTHER.encode()) == []


def readable_with(folder: Path, *secrets: bytes) -> list[str]:
    """Files that hold a secret and that more than one user may read, or that are no table."""
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in ("site.yaml", "secret")
        and any(secret in path.read_bytes() for secret in secrets)
        and (path.stat().st_mode & 0o077 or "/kamailio/tables/" not in str(path))
    ]
