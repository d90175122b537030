"""certbot killed at a link step: what serves is not certbot's, and the next renewal heals it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import ground
import lanes
import pytest
import ways

pytestmark = [pytest.mark.engine, pytest.mark.slow(25)]

FILES = "certificate:\n  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}"
ACME = "certificate: {acme: {email: ops@example.com, directory: https://acme.example.net/dir}}"
LIVE = "acme/config/live/sbc.example.com"
KINDS = ("cert", "privkey", "chain", "fullchain")
STEPS = (
    ("rename", "acme/config/renewal/sbc.example.com.conf.new"),
    *(("symlink", f"{LIVE}/previous_{kind}.pem") for kind in KINDS),
    *((call, f"{LIVE}/{kind}.pem") for kind in KINDS for call in ("unlink", "symlink")),
    *(("unlink", f"{LIVE}/previous_{kind}.pem") for kind in KINDS),
)
"""What certbot 5 does to its links when it has a new certificate, in order (seen by strace)."""


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine that serves a certificate it got by ACME."""
    if reason := lanes.missing(lane):
        pytest.skip(reason)
    with ground.Ground(tmp_path_factory.mktemp("c"), lanes.root(lane)) as made:
        made.start_acme()
        made.write_site((FILES.format(folder=made.folder), ACME))
        made.apply()
        yield made


def served(machine: ground.Ground) -> str:
    ran = machine.run(*machine.words("cert", "list", "-o", "json"), code=None)
    told = json.loads(ran.stdout)
    assert told["served"] == next(
        each["serial"] for each in told["certificates"] if each["in_use"]
    )
    return told["served"]


@pytest.mark.parametrize("lane", ways.LANES)
def test_certbot_killed_at_a_link_step_takes_nothing_away(machine):
    """One of its seventeen steps; `make faults` takes all."""
    renew = machine.words("cert", "renew", "--force")
    for call, path in STEPS if ways.EVERY else STEPS[6:7]:
        before = served(machine)
        place = str(machine.state / path)
        kill = ("strace", "-f", "-o", str(machine.folder / "trace"), "-P", place)
        kill += ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL")
        ran = machine.run(*kill, *renew, code=None)
        trace = (machine.folder / "trace").read_text()
        assert "+++ killed by SIGKILL +++" in trace, (call, path, trace[-400:])
        assert ran.returncode in (0, 1), ran.stderr
        if ran.returncode == 1:
            assert "no certificate for sbc.example.com" in ran.stderr
            assert served(machine) == before
            machine.run(*renew)
        # Else all that counts was there already, and was proven before it was taken.
        assert served(machine) != before, (call, path)
        quiet = machine.run(*machine.words("cert", "renew"))
        assert (quiet.stdout, quiet.stderr) == ("", "")
