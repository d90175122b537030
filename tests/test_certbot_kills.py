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


def renewed(machine: ground.Ground, call: str, path: str) -> tuple[int, str]:
    """Force a renewal and kill certbot at a call: exit code of sbcctl, and what it said.

    Before 6.0 a renewal restarts Kamailio, which strace would follow for as long as it runs.
    """
    trace, pid = machine.folder / "trace", machine.folder / "pid"
    trace.unlink(missing_ok=True)
    kill = ("strace", "-I", "1", "-f", "-o", str(trace), "-P", str(machine.state / path))
    kill += ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL")
    renew = machine.words("cert", "renew", "--force")
    child = machine.start(*kill, "sh", "-c", 'echo $$ > "$0"; exec "$@"', str(pid), *renew)

    def ends() -> list[str]:
        own = pid.read_text().strip() if pid.exists() else ""
        lines = trace.read_text().splitlines() if trace.exists() else []
        words = (line.split() for line in lines)
        return [each[4] for each in words if each[:4] == [own, "+++", "exited", "with"]]

    machine.wait_until(ends, seconds=60)
    assert "+++ killed by SIGKILL +++" in trace.read_text(), (call, path)
    machine.run("pkill", "-TERM", "-x", "strace", code=None)
    assert child.stdout
    said = child.stdout.read().decode()
    return int(ends()[0]), said


@pytest.mark.parametrize("lane", ways.LANES)
def test_certbot_killed_at_a_link_step_takes_nothing_away(machine):
    """One of its seventeen steps; `make faults` takes all."""
    renew = machine.words("cert", "renew", "--force")
    for call, path in STEPS if ways.EVERY else STEPS[6:7]:
        before = served(machine)
        code, said = renewed(machine, call, path)
        assert code in (0, 1), said
        if code == 1:
            assert "no certificate for sbc.example.com" in said
            assert served(machine) == before
            machine.run(*renew)
        # Else all that counts was there already, and was proven before it was taken.
        assert served(machine) != before, (call, path)
        quiet = machine.run(*machine.words("cert", "renew"))
        assert (quiet.stdout, quiet.stderr) == ("", "")
