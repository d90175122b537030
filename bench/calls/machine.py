"""The machine of the load: a small SBC, a carrier that calls, an office that is called, spares.

It is the tests' machine (tests/ground.py) with other addresses and another site.yaml: namespaces
of its own that vanish with it, after fifteen minutes at the latest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests"))

import ground  # noqa: E402 - the tests are no package

CALLER, CALLEE = "192.0.2.30", "192.0.2.20"
TEAMS = ground.TEAMS[0]
SPARES = ("192.0.2.21", "192.0.2.22", "192.0.2.23")
"""Gateways of trunks without calls; a peer there answers OPTIONS."""
DIALLED = "+4930555123"

TEAMS_SHARE = 10
"""For so many calls of the carrier there is one more of Teams."""

SITE = """\
version: 1
site: load
node: {{public_address: 203.0.113.10, trunk_address: 192.0.2.10}}
teams:
  fqdn: sbc.example.com
  networks: [198.51.100.0/24]
  trusted_roots: {folder}/ca.pem
  options_interval: {interval}
media: {{ports: {first}-49999}}
certificate:
  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}
trunks:
  carrier: {{kind: carrier, gateways: ["sip:192.0.2.30"]}}
  office: {{kind: pbx, gateways: ["sip:192.0.2.20"], numbers: ["+4930555"]}}
  spare:
    kind: pbx
    gateways: ["sip:{gateway}"]
    numbers: ["+4940{number}"]
    codecs: [{codec}]
{extra}\
routes:
  service: {{from: [carrier], number: "+4950{route}", to: [spare]}}
engines: {{accept_risk: kamailio before 6.0 can be crashed by concurrent TLS handshakes}}
"""
# A name before all others: whatever is numbered by name moves.
EXTRA = '  additional: {{kind: pbx, gateways: ["sip:{gateway}"], numbers: ["+4960"]}}\n'


def plan_of(given: argparse.Namespace) -> dict:
    """What the generator is told."""
    share = TEAMS_SHARE
    return {
        "rate": {"carrier": given.rate, "teams": given.rate / share},
        "standing": {"carrier": given.standing, "teams": given.standing // share},
        "talking": {"carrier": given.talking, "teams": given.talking // share},
        "hold": 2.0,
        "dialled": DIALLED,
        "caller": CALLER,
        "callee": CALLEE,
        "teams": TEAMS,
    }


class Site:
    """What site.yaml says at this moment; each change leaves the trunks with calls alone."""

    def __init__(self) -> None:
        self.values = {"gateway": SPARES[0], "number": 1000, "codec": "PCMA", "route": 1000}
        self.values |= {"interval": 60, "first": 30000}
        self.has_extra = False

    def text(self, folder: Path) -> str:
        extra = EXTRA.format(gateway=SPARES[2]) if self.has_extra else ""
        return SITE.format(folder=folder, extra=extra, **self.values)

    def change(self, turn: int) -> str:
        """Change one thing and say what; every fifth change is one of gateways.

        Kamailio reads gateways and addresses again every five seconds at most, tables at once.
        """
        values = self.values
        kind = turn % 10
        if kind == 4:
            values["gateway"] = SPARES[1] if values["gateway"] == SPARES[0] else SPARES[0]
            return "gateway of a trunk"
        if kind == 9:
            self.has_extra = not self.has_extra
            return "trunk added" if self.has_extra else "trunk removed"
        if kind in (1, 6):
            values["route"] = 1001 + turn
            return "number of a route"
        if kind in (2, 7):
            values["codec"] = "PCMU" if values["codec"] == "PCMA" else "PCMA"
            return "codecs of a trunk"
        values["number"] = 1001 + turn
        return "numbers of a trunk"


class Machine(ground.Ground):
    """The machine; a context manager.

    Attributes:
        teams: Microsoft's names that the tests' peers are; the generator is the rest.
    """

    teams = ground.TEAMS[1:]

    def settle(self) -> None:
        """Give it its addresses, and start DNS, two of Teams' three and the spare gateways."""
        more = (CALLER, CALLEE, *SPARES)
        addresses = dict.fromkeys((*ground.ADDRESSES, *more))
        adds = "".join(f"ip addr add {address}/32 dev lo;" for address in addresses)
        mount = f"mount --bind {self.folder}/resolv.conf /etc/resolv.conf"
        self.run("sh", "-ec", f"ip link set lo up; {adds} {mount}")
        script = (sys.executable, str(ground.HERE / "fakes/peers.py"), str(self.folder))
        peers = self.start(*script, "127.0.0.53", *self.teams, "--", *SPARES)
        assert peers.stdout
        assert peers.stdout.readline() == b"ready\n"

    def write_site(self, *changes: tuple[str, str]) -> None:
        """Write the first site.yaml."""
        assert not changes
        self.write(Site())

    def write(self, site: Site) -> None:
        (self.folder / "site.yaml").write_text(site.text(self.folder))

    def carry_out(self, verb: str = "apply", *words: str) -> dict:
        """Run an ``sbcctl apply``; what it said, when and how long, and its exit code."""
        began = time.time()
        ran = self.run(
            *self.words("--output", "json", verb, str(self.folder / "site.yaml"), *words),
            code=None,
        )
        told = {"began": began, "seconds": time.time() - began, "code": ran.returncode}
        try:
            said = json.loads(ran.stdout)
        except ValueError:
            said = {"message": f"{ran.stdout}{ran.stderr}"}
        return {**told, "said": said}


class Driver:
    """The generator on the machine, and the orders it takes."""

    def __init__(self, machine: Machine, plan: dict) -> None:
        self.folder = machine.folder
        words = (str(Path(__file__).with_name("generator.py")), str(machine.folder))
        self.process: subprocess.Popen[bytes] = machine.start(
            sys.executable, *words, json.dumps(plan)
        )
        self._hear(b"ready")

    def _hear(self, wanted: bytes) -> None:
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line.decode())
            if line.startswith(wanted):
                return
        raise RuntimeError("the generator ended: " + "".join(lines[-30:]))

    def order(self, words: str) -> None:
        """Give an order and wait until it is done."""
        self.ask(words)
        self.heard()

    def ask(self, words: str) -> None:
        """Give an order; heard() waits until it is done."""
        assert self.process.stdin
        self.process.stdin.write(words.encode() + b"\n")
        self.process.stdin.flush()

    def heard(self) -> None:
        """Wait until the order given last is done."""
        self._hear(b"done")

    def found(self) -> dict:
        return json.loads((self.folder / "load.json").read_text())
