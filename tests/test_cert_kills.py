"""Killed at a file operation, a renewal leaves a pair that serves, and the next one heals it."""

from __future__ import annotations

import json

import certs
import faults
import pytest
import ways

pytestmark = [pytest.mark.engine, pytest.mark.slow(20)]


def write_new_pair(warm: faults.Warm, number: int) -> str:
    """New files of site.yaml; the serial."""
    machine = warm.machine
    machine.write_pair("sbc", "sbc.example.com", number=3 + number % 2)
    leaf = certs.x509.load_pem_x509_certificates((machine.folder / "sbc.chain").read_bytes())[0]
    return f"{leaf.serial_number:x}"


def words(warm: faults.Warm, *verb: str) -> list[str]:
    argv = warm.machine.words("cert", *verb)
    return list(argv[argv.index("orchestrator.cli") + 1 :])


def listed(warm: faults.Warm) -> dict:
    _, said, _ = warm.run(words(warm, "list", "-o", "json"))
    return json.loads(said[said.index("{\n") :])


warm = ways.warm


@pytest.mark.parametrize("lane", ways.LANES)
def test_whatever_a_kill_leaves_serves_and_the_next_renewal_heals_it(warm):
    """Every tenth call that writes, and the links and the journal; `make faults`: every one."""
    write_new_pair(warm, 0)
    found = [each for each in warm.trace(words(warm, "renew")) if each.kind == "file"]
    assert len(found) > 20
    chosen = [
        point
        for number, point in enumerate(found)
        if ways.EVERY
        or number % 10 == 0
        or (point.call.startswith("rename") and "certificates" in point.about)
    ]
    for number, point in enumerate(chosen, start=1):
        old = listed(warm)["served"]
        new = write_new_pair(warm, number)
        code, said, about = warm.hit(words(warm, "renew"), point, faults.KILL)
        # The sockets of questions are removed as well, and how many are asked depends on how many
        # connections stand: an unlink that never came is no kill, and all is well.
        missed = code == 0 and point.call.startswith("unlink")
        assert missed or (code, bool(about)) == (-9, True), (point, said)
        warm.check_certificate()
        assert listed(warm)["served"] in (old, new), point
        code, said, _ = warm.run(words(warm, "renew"))
        assert code == 0, (point, said)
        healed = listed(warm)
        assert healed["served"] == new, point
        assert healed["well"], point
        assert not (warm.machine.state / "journal.json").exists(), point
