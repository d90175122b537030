"""What `route explain --tenant` says of a call is what the engines do with it: real calls.

`SBCCTL_WIRE_SITES` is the number of random sites (20 calls each).
"""

from __future__ import annotations

import json
import os
import random
import sys

import ground
import lanes
import pytest
import test_routes_on_the_wire as routes_on_the_wire
import wire
import wire_tenants

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SITES = int(os.environ.get("SBCCTL_WIRE_SITES", "40"))
CALLS = 20
FIRST = 1
KINDS = {"host": "debian12"}


class TenantGround(routes_on_the_wire.WireGround):
    """With a certificate for the names of customers."""

    def settle(self) -> None:
        super().settle()
        self.write_pair("sbc", "sbc.example.com", "*.sbc.example.com", number=2)


def test_tenants_are_kept_apart_on_the_wire(lane, tmp_path):
    """Refusals, targets, callers and names are as predicted; minutes are counted and end."""
    with TenantGround(tmp_path, lanes.root(lane)) as machine:
        first = wire_tenants.universe(random.Random(FIRST), tmp_path)
        (tmp_path / "site.yaml").write_text(json.dumps(first))
        words = (str(tmp_path), KINDS.get(lane, lane), str(FIRST), str(SITES), str(CALLS))
        driver = machine.start(sys.executable, str(ground.HERE / "wire_tenants.py"), *words)
        assert driver.stdin
        assert driver.stdout
        assert driver.stdout.readline() == b"ready\n"
        machine.run(
            *machine.words("apply", f"{tmp_path}/site.yaml"), env={"PASSWORD": wire.PASSWORD}
        )
        driver.stdin.write(b"go\n")
        driver.stdin.flush()
        said = driver.stdout.read().decode()
    assert said.startswith("{"), said
    told = json.loads(said)
    sys.stdout.write(json.dumps({**told, "lane": lane}))
    assert told["wrong"] == []
    assert told["calls"] == SITES * CALLS
    talked = told["minutes"]
    assert talked["answers"] == [200, 200]
    assert talked["talking"] == "2"
    assert talked["after"] == "0"
    assert 2 * wire_tenants.MOST <= talked["talked"] <= 2 * wire_tenants.MOST + 4
    assert (talked["third"], talked["fourth"], talked["help"]) == (200, 403, 200)
    assert int(talked["refused"]["t0.sbc.example.com/minutes_per_day"]) == 1
    rooms = told["rooms"]
    assert (rooms["next"], rooms["spent"]) == (200, 503)
    assert rooms["left"] == rooms["full"] == rooms["before"]
