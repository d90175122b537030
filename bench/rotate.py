"""What do calls notice of new certificates, and how soon is the old one on no connection any more?

The load is that of load.py, and the PBX calls Teams as well: Microsoft is three names that listen
and proxies that dial, each connection tells which certificate the SBC showed on it. `sbcctl apply`
installs one new certificate after the other meanwhile. Runs on the engines of Debian 13
(`make engines`); the whole takes less than eight minutes, `--quick` half a minute.

Exit code 1: a handshake or a call failed, an apply did, or a connection kept an old certificate
for longer than Microsoft's OPTIONS are apart.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "calls"))

import machine
import report
import rotations

sys.path.insert(0, str(machine.CHECKOUT / "tests"))
import certs
import ground
import lanes
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from orchestrator.engines import kamailio_rpc

LANE = "debian13" if "debian13" in lanes.names() else "host"
FULL = {
    "rotations": 100,
    "rate": 20,
    "tls": 2,
    "standing": 50,
    "control": 30,
    "connections": 12,
    "interval": 10,
}
QUICK = {
    "rotations": 2,
    "rate": 4,
    "tls": 1,
    "standing": 5,
    "control": 2,
    "connections": 3,
    "interval": 5,
}
MOST_SECONDS = 420
KEYS = 4
"""So many RSA keys take turns; each certificate is a new one."""
CALLS_TEAMS = "+4989666"
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=report.Formatter)
    parser.add_argument("--quick", action="store_true", help="small and short, for a test")
    parser.add_argument("--root", default=LANE, help="engines: host, debian12, debian13")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw figures go there")
    parser.add_argument("--rotations", type=int, help="how many (100)")
    parser.add_argument("--rate", type=float, help="new calls a second without TLS (20)")
    parser.add_argument("--tls", type=float, help="new calls a second each way with Teams (2)")
    parser.add_argument("--standing", type=int, help="calls of each kind that stand (50)")
    parser.add_argument("--control", type=float, help="seconds without a rotation (30)")
    parser.add_argument("--connections", type=int, help="dialled by Microsoft (12)")
    parser.add_argument("--interval", type=int, help="seconds between OPTIONS (10)")
    parser.add_argument("--late", type=float, default=0, help="seconds beyond an interval (0)")
    given = parser.parse_args()
    for name, value in (QUICK if given.quick else FULL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


class Machine(machine.Machine):
    """The machine of the load; all of Microsoft's names are the generator's."""

    teams: tuple[str, ...] = ()

    def renew(self, turn: int) -> int:
        """Write a new certificate where site.yaml has it from; its serial number.

        It is for clients, too: the generator judges it as Python does.
        """
        key = certs.rsa_key(turn % KEYS)
        leaf = self.ca.leaf("sbc.example.com", key=key, usage=BOTH)
        (self.folder / "sbc.chain").write_bytes(leaf + self.ca.pem)
        (self.folder / "sbc.key").write_bytes(certs.pem_key(key))
        return x509.load_pem_x509_certificate(leaf).serial_number

    def memory(self) -> dict[str, int]:
        """What Kamailio counts of its shared memory, and what its processes have of their own."""
        rpc = kamailio_rpc.Rpc(self.run_dir / "kamailio/kamailio.sock", self.run_dir)
        shared = rpc.call("core.shmmem")
        assert isinstance(shared, dict)
        own = sum(int(told["RssAnon"].split()[0]) for told in self.statuses("kamailio"))
        return {"total": shared["total"], "used": shared["real_used"], "own": own * 1024}

    def log(self) -> str:
        return (self.state / "log/kamailio.log").read_text(errors="replace")


def plan_of(given: argparse.Namespace) -> dict:
    """What the generator is told."""
    each = ("carrier", "teams", "office")
    return {
        **machine.plan_of(argparse.Namespace(**vars(given), talking=0)),
        "rate": {"carrier": given.rate, "teams": given.tls, "office": given.tls},
        "standing": dict.fromkeys(each, given.standing),
        "talking": dict.fromkeys(each, 0),
        "ring": 0.3,
        "period": 10,
        "gap": 60,
        "late": given.late,
        "proxies": {
            "names": ground.TEAMS,
            "connections": given.connections,
            "interval": given.interval,
            "dialled": CALLS_TEAMS,
        },
    }


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def run(given: argparse.Namespace, folder: Path) -> dict:
    """The whole run; returns everything that was found."""
    plan = plan_of(given)
    with Machine(folder, lanes.root(given.root)) as made:
        driver = machine.Driver(made, plan)
        site = machine.Site()
        site.values["interval"] = given.interval
        made.write(site)
        serials = [made.renew(0)]
        first = made.carry_out()
        if first["code"]:
            raise SystemExit(f"the first apply failed: {first['said']}")
        say(f"  {3 * given.standing} calls are set up")
        driver.order("fill")
        driver.order("phase settle")
        time.sleep(min(5, given.control))
        say(f"  control: {given.control:g} s without a rotation")
        driver.order("phase control")
        time.sleep(given.control)
        before = made.memory()
        say(f"  rotations: {given.rotations}")
        driver.order("phase applies")
        applies = []
        end = time.monotonic() + MOST_SECONDS
        for turn in range(1, given.rotations + 1):
            if time.monotonic() > end:
                say(f"  no time for more than {turn - 1} rotations")
                break
            serials.append(made.renew(turn))
            applies.append({"changed": "certificate", **made.carry_out()})
        # What the last one replaced must go as well.
        driver.order(f"await-serial {serials[-1]}")
        after = made.memory()
        driver.order("phase after")
        driver.order("end")
        return {
            **driver.found(),
            "applies": applies,
            "serials": serials,
            "memory": [before, after],
            "complaints": rotations.complaints(made.log()),
            "plan": plan,
        }


if __name__ == "__main__":
    report.tell(settings(), run, rotations.table, rotations.faults)
