"""What render/numbers.py says of a number is what Kamailio does: random trunks, real calls.

`route explain` stands on it. The machine is the one of test_routes_on_the_wire.
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
import wire_calls

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SITES = int(os.environ.get("SBCCTL_WIRE_SITES", "4"))
CALLS = 40


def test_the_numbers_and_the_wire_agree(lane, tmp_path):
    """Request-URI and From of each call are as predicted, in whatever form they were written."""
    with routes_on_the_wire.WireGround(tmp_path, lanes.root(lane)) as machine:
        first = wire_calls.universe(random.Random(1), tmp_path)
        (tmp_path / "site.yaml").write_text(json.dumps(first))
        kind = routes_on_the_wire.KINDS.get(lane, lane)
        words = (str(tmp_path), kind, "1", str(SITES), str(CALLS))
        driver = machine.start(sys.executable, str(ground.HERE / "wire_numbers.py"), *words)
        assert driver.stdin
        assert driver.stdout
        assert driver.stdout.readline() == b"ready\n"
        machine.run(
            *machine.words("apply", f"{tmp_path}/site.yaml"), env={"PASSWORD": wire.PASSWORD}
        )
        driver.stdin.write(b"go\n")
        driver.stdin.flush()
        words = driver.stdout.read().decode()
    assert words.startswith("{"), words
    told = json.loads(words)
    sys.stdout.write(json.dumps({**told, "lane": lane}))
    assert told["wrong"] == []
    assert told["calls"] == SITES * len(first["trunks"]) * CALLS
