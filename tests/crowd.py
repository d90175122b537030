"""A machine for very many trunks: the tests' machine, and a gateway at every address of a /15."""

from __future__ import annotations

import sys

import ground

FAR = 100_000
"""How far away the second gateway of a trunk is."""

PORT = 5070
SITE = """\
version: 1
site: many
node: {{public_address: 203.0.113.10, trunk_address: 192.0.2.10}}
teams:
  fqdn: sbc.example.com
  networks: [198.51.100.0/24]
  trusted_roots: {folder}/ca.pem
certificate:
  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}
engines: {{accept_risk: kamailio before 6.0 can be crashed by concurrent TLS handshakes}}
trunks:
"""


def address(number: int) -> str:
    """Of the network that RFC 2544 gave to benchmarks."""
    return f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def trunk(number: int, moved: int = 0) -> str:
    """A trunk with one gateway and one prefix; ``moved`` gives it another gateway."""
    gateway = f"sip:{address(number + 1 + moved)}:{PORT};transport=udp"
    return (
        f'  t{number:05d}: {{kind: pbx, gateways: ["{gateway}"], numbers: ["+49{number:07d}"]}}\n'
    )


class Many(ground.Ground):
    """The machine; a context manager. It is there for fifteen minutes at most."""

    def settle(self) -> None:
        super().settle()
        self.run("ip", "route", "add", "local", "198.18.0.0/15", "dev", "lo")
        gateways = self.start(sys.executable, str(ground.HERE / "fakes/gateways.py"), str(PORT))
        assert gateways.stdout
        assert gateways.stdout.readline() == b"ready\n"

    def write(self, count: int, *, moved: int = 0) -> None:
        """Write a site of so many trunks; the one in the middle may have moved."""
        rows = (trunk(n, moved if n == count // 2 else 0) for n in range(count))
        head = SITE.format(folder=self.folder)
        (self.folder / "site.yaml").write_text(head + "".join(rows))
