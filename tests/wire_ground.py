"""A machine where everybody but the SBC is one program that places random calls (wire.py)."""

from __future__ import annotations

import json
import sys

import ground
import wire

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

    def drive(self, script: str, lane: str, site: dict, *counts: int) -> dict:
        """Apply *site*, let a program place its calls, and return what it tells.

        Args:
            script: The program; it says ``ready`` when everybody is there, and waits for a line.
            lane: Whose engines run.
            site: What is applied, as values.
            counts: The program's own arguments.
        """
        (self.folder / "site.yaml").write_text(json.dumps(site))
        words = (str(self.folder), KINDS.get(lane, lane), *map(str, counts))
        driver = self.start(sys.executable, str(ground.HERE / script), *words)
        assert driver.stdin
        assert driver.stdout
        assert driver.stdout.readline() == b"ready\n"
        self.run(*self.words("apply", f"{self.folder}/site.yaml"), env={"PASSWORD": wire.PASSWORD})
        driver.stdin.write(b"go\n")
        driver.stdin.flush()
        said = driver.stdout.read().decode()
        assert said.startswith("{"), said
        told: dict = json.loads(said)
        sys.stdout.write(json.dumps({**told, "lane": lane}))
        return told
