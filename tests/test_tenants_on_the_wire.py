"""What `route explain --tenant` says of a call is what the engines do with it: real calls.

`SBCCTL_WIRE_SITES` is the number of random sites (20 calls each).
"""

from __future__ import annotations

import os
import random

import lanes
import pytest
import wire_ground
import wire_tenants

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SITES = int(os.environ.get("SBCCTL_WIRE_SITES", "40"))
CALLS = 20
FIRST = 1


class TenantGround(wire_ground.WireGround):
    """With a certificate for the names of customers."""

    def settle(self) -> None:
        super().settle()
        self.write_pair("sbc", "sbc.example.com", "*.sbc.example.com", number=2)


def test_tenants_are_kept_apart_on_the_wire(lane, tmp_path):
    """Refusals, targets, callers and names are as predicted; minutes are counted and end."""
    with TenantGround(tmp_path, lanes.root(lane)) as machine:
        first = wire_tenants.universe(random.Random(FIRST), tmp_path)
        told = machine.drive("wire_tenants.py", lane, first, FIRST, SITES, CALLS)
    assert told["wrong"] == []
    assert told["calls"] == SITES * CALLS
    talked = told["minutes"]
    assert talked["answers"] == [200, 200, 200]
    assert talked["talking"] == "2"
    assert talked["after"] == "0"
    # What status tells, while they talk and when they have ended.
    ((calls, seconds),), ((others, ended),) = talked["used"], talked["unused"]
    assert calls - others == 2
    assert 2 * wire_tenants.MOST <= seconds <= 2 * wire_tenants.MOST + 4
    assert ended == talked["talked"]
    assert 2 * wire_tenants.MOST <= talked["talked"] <= 2 * wire_tenants.MOST + 4
    assert (talked["third"], talked["fourth"], talked["help"]) == (200, 403, 200)
    assert int(talked["refused"]["t0.sbc.example.com/minutes_per_day"]) == 1
    rooms = told["rooms"]
    assert (rooms["next"], rooms["spent"]) == (200, 503)
    assert rooms["left"] == rooms["full"] == rooms["before"]
