"""What `route explain` says of a call is what the engines do with it: random sites, real calls.

Each lane is one machine with Kamailio and RTPEngine as `apply` started them. `SBCCTL_WIRE_SITES`
is the number of sites (20 calls each); 1000 is the whole promise and takes two minutes.
"""

from __future__ import annotations

import os
import random

import lanes
import pytest
import wire_calls
import wire_ground

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SITES = int(os.environ.get("SBCCTL_WIRE_SITES", "100"))
CALLS = 20
FIRST = 1


def test_the_tables_and_the_wire_agree(lane, tmp_path):
    """For each call the parties asked, their order and the caller's answer are as predicted."""
    with wire_ground.WireGround(tmp_path, lanes.root(lane)) as machine:
        first = wire_calls.universe(random.Random(FIRST), tmp_path)
        told = machine.drive("wire_calls.py", lane, first, FIRST, SITES, CALLS)
    assert told["wrong"] == []
    assert told["calls"] > SITES * CALLS
    assert told["left"] == 0
