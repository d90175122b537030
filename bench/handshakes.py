"""Does a TLS handshake fail now and then when very many come at once? Counted, in both roles.

A carrier calls through the rendered configuration, and every call is refused by a trunk's gateway
or a datacentre of Microsoft's that closes the connection then: the SBC dials again and again, and
shows its certificate each time. Meanwhile Microsoft dials the SBC as quickly. Everything runs in
namespaces that vanish with it, on the engines of Debian 13 (`make engines`).

Exit code 1: a handshake failed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "calls"))

import machine
import report

sys.path.insert(0, str(machine.CHECKOUT / "tests"))
import certs
import ground
import lanes
from cryptography.x509.oid import ExtendedKeyUsageOID

LANE = "debian13" if "debian13" in lanes.names() else "host"
GATEWAYS = tuple(f"192.0.2.{number}" for number in range(101, 133))
MOST_SECONDS = 540

SITE = """\
version: 1
site: handshakes
node: {{public_address: 203.0.113.10, trunk_address: 192.0.2.10}}
teams:
  fqdn: sbc.example.com
  networks: [198.51.100.0/24]
  trusted_roots: {folder}/ca.pem
certificate:
  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}
trunks:
  carrier: {{kind: carrier, gateways: ["sip:192.0.2.30"]}}
  office:
    kind: pbx
    tls: {{ca: {folder}/ca.pem}}
    numbers: ["+4930555"]
    gateways:
{gateways}
engines:
  workers: {workers}
  accept_risk: kamailio before 6.0 can be crashed by concurrent TLS handshakes
"""


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=report.Formatter)
    parser.add_argument("--root", default=LANE, help="engines: host, debian12, debian13")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw figures go there")
    parser.add_argument("--handshakes", type=int, default=20_000, help="dialled (20,000)")
    parser.add_argument("--at-once", type=int, default=48, help="calls under way (48)")
    parser.add_argument("--inbound", type=int, default=1, help="threads that dial the SBC (1)")
    parser.add_argument("--workers", type=int, default=4, help="engines.workers (4)")
    parser.add_argument("--tls", default="TLSv1_3", help="newest TLS of the peers (TLSv1_3)")
    parser.add_argument("--seconds", type=int, default=MOST_SECONDS, help="at most (540)")
    return parser.parse_args()


class Machine(ground.Ground):
    """The machine; a context manager."""

    def settle(self) -> None:
        """Give it its addresses, and start DNS."""
        addresses = dict.fromkeys((*ground.ADDRESSES, machine.CALLER, *GATEWAYS))
        adds = "".join(f"ip addr add {address}/32 dev lo;" for address in addresses)
        mount = f"mount --bind {self.folder}/resolv.conf /etc/resolv.conf"
        self.run("sh", "-ec", f"ip link set lo up; {adds} {mount}")
        script = (sys.executable, str(ground.HERE / "fakes/peers.py"), str(self.folder))
        peers = self.start(*script, "127.0.0.53", "--")
        assert peers.stdout
        assert peers.stdout.readline() == b"ready\n"

    def write_site(self, *changes: tuple[str, str]) -> None:
        """The peers judge the SBC's certificate as Python does: it must be for clients, too."""
        assert not changes
        key = certs.rsa_key(2)
        usage = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
        leaf = self.ca.leaf("sbc.example.com", key=key, usage=usage)
        (self.folder / "sbc.chain").write_bytes(leaf + self.ca.pem)

    def write(self, workers: int) -> None:
        rows = "\n".join(
            f'      - {{uri: "sip:{address};transport=tls", weight: 1}}' for address in GATEWAYS
        )
        text = SITE.format(folder=self.folder, gateways=rows, workers=workers)
        (self.folder / "site.yaml").write_text(text)

    def log(self) -> str:
        return (self.state / "log/kamailio.log").read_text(errors="replace")


def run(given: argparse.Namespace, folder: Path) -> dict:
    """The whole run; returns everything that was found."""
    plan = {
        "seconds": given.seconds,
        "dialled": given.handshakes,
        "at_once": given.at_once,
        "inbound": given.inbound,
        "version": given.tls,
        "caller": machine.CALLER,
        "gateways": GATEWAYS,
        "teams": ground.TEAMS,
    }
    with Machine(folder, lanes.root(given.root)) as made:
        made.write(given.workers)
        script = str(Path(__file__).parent / "handshakes/storm.py")
        storm = made.start(sys.executable, script, str(folder), json.dumps(plan))
        assert storm.stdout
        assert storm.stdin
        while (line := storm.stdout.readline()) != b"ready\n":
            if not line:
                raise SystemExit("the peers did not start")
        made.apply("--allow-down", "carrier")
        began = {told["Pid"] for told in made.statuses("kamailio")}
        storm.stdin.write(b"\n")
        storm.stdin.flush()
        said = storm.stdout.read().decode()
        try:
            found = json.loads(said.splitlines()[-1])
        except (ValueError, IndexError):
            raise SystemExit(f"the peers ended: {said}") from None
        found["same_processes"] = began == {told["Pid"] for told in made.statuses("kamailio")}
        found["complaints"] = complaints(made.log())
        return found


def complaints(log: str) -> dict[str, int]:
    """What Kamailio said about TLS, without what differs from line to line."""
    lines = (line for line in log.splitlines() if "tls" in line and "ERROR" in line)
    words = (re.sub(r"^.*?(?=\S+\(\): )|\d+", "", line)[:110] for line in lines)
    return dict(Counter(words).most_common(12))


def table(found: dict) -> str:
    lines = [f"  {found['seconds']:.0f} s"]
    for role, words in (("dialled", "dialled by the SBC"), ("taken", "dialled by Microsoft")):
        each = dict(found[role])
        done = each.pop("done", 0)
        lines.append(f"  {words:<24}{done:>8} handshakes  {each or ''}")
    lines.append(f"  calls {found['calls']}")
    lines += [f"  log {count:>6}  {words}" for words, count in found["complaints"].items()]
    return "\n".join(lines)


def faults(found: dict) -> list[str]:
    """What must not have happened; nothing when all is well."""
    wrong = [
        f"{count} handshakes ({role}): {what}"
        for role in ("dialled", "taken")
        for what, count in found[role].items()
        if what != "done" and not what.startswith("broken off")
    ]
    if not found["same_processes"]:
        wrong.append("Kamailio is not the same any more: it crashed")
    return wrong


if __name__ == "__main__":
    report.tell(settings(), run, table, faults)
