"""What render/numbers.py says of a number is what Kamailio does: random trunks, real calls.

`route explain` stands on it.
"""

from __future__ import annotations

import os
import random

import lanes
import pytest
import wire_calls
import wire_ground

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SITES = int(os.environ.get("SBCCTL_WIRE_SITES", "4"))
CALLS = 40


def test_the_numbers_and_the_wire_agree(lane, tmp_path):
    """Request-URI and From of each call are as predicted, in whatever form they were written."""
    with wire_ground.WireGround(tmp_path, lanes.root(lane)) as machine:
        first = wire_calls.universe(random.Random(1), tmp_path)
        told = machine.drive("wire_numbers.py", lane, first, 1, SITES, CALLS)
    assert told["wrong"] == []
    assert told["calls"] == SITES * len(first["trunks"]) * CALLS
