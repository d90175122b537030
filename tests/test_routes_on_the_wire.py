"""What `route explain` says of a call is what the engines do with it: random sites, real calls.

Each lane is one machine with Kamailio and RTPEngine as `apply` started them. `SBCCTL_WIRE_SITES`
is the number of sites (20 calls each); 1000 is the whole promise and takes two minutes.
"""

from __future__ import annotations

import json
import os
import random
import sys

import ground
import lanes
import pytest
import wire
import wire_calls

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SITES = int(os.environ.get("SBCCTL_WIRE_SITES", "100"))
CALLS = 20
FIRST = 1
KINDS = {"host": "debian12"}


class WireGround(ground.Ground):
    """A machine with an address for each gateway and phone, and nobody there yet."""

    def settle(self) -> None:
        """Give the machine its addresses, and start DNS."""
        more = (*wire.GATEWAYS, *wire.PHONES.values())
        addresses = dict.fromkeys((*ground.ADDRESSES, *more))
        adds = "".join(f"ip addr add {address}/32 dev lo;" for address in addresses)
        mount = f"mount --bind {self.folder}/resolv.conf /etc/resolv.conf"
        self.run("sh", "-ec", f"ip link set lo up; {adds} {mount}")
        script = str(ground.HERE / "fakes/peers.py")
        peers = self.start(sys.executable, script, str(self.folder), "127.0.0.53", "--")
        assert peers.stdout
        assert peers.stdout.readline() == b"ready\n"


def test_the_tables_and_the_wire_agree(lane, tmp_path):
    """For each call the parties asked, their order and the caller's answer are as predicted."""
    with WireGround(tmp_path, lanes.root(lane)) as machine:
        first = wire_calls.universe(random.Random(FIRST), tmp_path)
        (tmp_path / "site.yaml").write_text(json.dumps(first))
        words = (str(tmp_path), KINDS.get(lane, lane), str(FIRST), str(SITES), str(CALLS))
        driver = machine.start(sys.executable, str(ground.HERE / "wire_calls.py"), *words)
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
    assert told["calls"] > SITES * CALLS
    assert told["left"] == 0
