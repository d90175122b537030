"""What very many tenants cost a call, and what calls notice of a tenant that comes or goes.

Two Kamailios as `sbcctl apply` renders them, one with a single tenant and one with ten thousand,
take turns at one rate, with calls of that tenant from Teams to a PBX and from the PBX to Teams.
The processor time of all their processes is what the kernel counts; both pass the SDP on as it is
(bench/lean.py). Then a tenant is added, changed and removed by applies, again and again, while
calls go on through the Kamailio that is applied, with RTPEngine. Engines: those of Debian 13.

Exit code 1: a call failed, or an apply did.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "calls"))
sys.path.insert(0, str(Path(__file__).parent / "lean"))

import lean
import machine
import report
import variants

sys.path.insert(0, str(machine.CHECKOUT / "tests"))
sys.path.insert(0, str(Path(__file__).parent / "many"))
import certs
import lanes
import provider

TENANT = "load"
"""The tenant whose calls these are."""
FULL = {"rounds": 5, "rate": 100, "seconds": 8.0, "tenants": 10_000, "turns": 5}
QUICK = {"rounds": 1, "rate": 20, "seconds": 1.0, "tenants": 100, "turns": 1}
SITE = """\
version: 1
site: load
node: {{public_address: 203.0.113.10, trunk_address: 192.0.2.10}}
teams:
  fqdn: sbc.example.com
  networks: [198.51.100.0/24]
  trusted_roots: {folder}/ca.pem
certificate:
  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}
trunks:
  office: {{kind: pbx, gateways: ["sip:192.0.2.20"]}}
engines: {{{memory}accept_risk: kamailio before 6.0 can be crashed by concurrent TLS handshakes}}
tenants: {{include: tenants.jsonl}}
"""
VARIANTS = (
    variants.Variant("one", "192.0.2.13", "203.0.113.13", has_media=False),
    variants.Variant("many", "192.0.2.14", "203.0.113.14", has_media=False),
)
APPLIED = variants.VARIANTS[-1]


class Machine(lean.Machine):
    """The machine of the load with tenants on it."""

    memory = ""

    def write_site(self, *changes: tuple[str, str]) -> None:
        assert not changes
        key = certs.rsa_key(2)
        names = ("sbc.example.com", "*.sbc.example.com")
        leaf = self.ca.leaf(*names, key=key, usage=lean.BOTH)
        (self.folder / "sbc.chain").write_bytes(leaf + self.ca.pem)
        (self.folder / "sbc.key").write_bytes(certs.pem_key(key))
        self.write_tenants(0)

    def write_tenants(self, count: int, *, moved: int | None = None) -> None:
        """The tenant with calls, so many others, and numbers of one of these elsewhere."""
        text = SITE.format(folder=self.folder, memory=self.memory)
        (self.folder / "site.yaml").write_text(text)
        with (self.folder / "tenants.jsonl").open("w") as lines:
            lines.write(provider.line(TENANT, [lean.CALLS_TEAMS]))
            for number in range(count):
                first = provider.FIRST + number * provider.NUMBERS
                first += provider.FAR * (number == moved)
                last = first + provider.NUMBERS - 1
                lines.write(provider.line(f"t{number}", [f"+49{first}-+49{last}"]))


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=report.Formatter)
    parser.add_argument("--quick", action="store_true", help="small and short, for a test")
    parser.add_argument("--root", default=lean.LANE, help="engines: host, debian12, debian13")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw figures go there")
    parser.add_argument("--rounds", type=int, help="turns of each (5)")
    parser.add_argument("--rate", type=float, help="calls a second (100)")
    parser.add_argument("--seconds", type=float, help="of each turn (8)")
    parser.add_argument("--tenants", type=int, help="how many are very many (10,000)")
    parser.add_argument("--turns", type=int, help="tenants added, changed and removed (5)")
    given = parser.parse_args()
    for name, value in (QUICK if given.quick else FULL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def plan_of(given: argparse.Namespace, variant: variants.Variant, *sources: str) -> dict:
    """What the generator is told: calls from these."""
    plan = lean.plan_of(given, variant, sources[0])
    return {
        **plan,
        "rate": dict.fromkeys(sources, given.rate),
        "standing": dict.fromkeys(sources, 0),
        "talking": dict.fromkeys(sources, 0),
        "fqdn": f"{TENANT}.sbc.example.com",
    }


def apply(made: Machine) -> dict:
    """Apply what was written."""
    told = made.carry_out()
    if told["code"]:
        raise SystemExit(f"an apply failed: {told['said']}")
    return told


def start(made: Machine, variant: variants.Variant) -> None:
    """Start a copy of what is applied; it must have heard Microsoft's answers to its OPTIONS."""
    variants.start(made, variant)
    time.sleep(2.5)


def change(made: Machine, given: argparse.Namespace) -> dict:
    """Applies while calls go on through the Kamailio that is applied."""
    slower = argparse.Namespace(**{**vars(given), "rate": given.rate / 4})
    driver = machine.Driver(made, plan_of(slower, APPLIED, *lean.SOURCES))
    driver.order("fill")
    driver.order("phase control")
    time.sleep(given.seconds)
    driver.order("phase applies")
    taken: dict[str, list[float]] = {"added": [], "changed": [], "removed": []}
    for _ in range(given.turns):
        for what, count, moved in (
            ("added", given.tenants + 1, None),
            ("changed", given.tenants + 1, given.tenants // 2),
            ("removed", given.tenants, given.tenants // 2),
        ):
            made.write_tenants(count, moved=moved)
            taken[what].append(apply(made)["seconds"])
        made.write_tenants(given.tenants)
        apply(made)
    driver.order("end")
    driver.process.wait(timeout=10)
    phases = driver.found()["phases"]
    return {"seconds": taken, "phases": {name: phases[name] for name in ("control", "applies")}}


def run(given: argparse.Namespace, folder: Path) -> dict:
    """The whole run; returns everything that was found."""
    with Machine(folder, lanes.root(given.root)) as made:
        warmed = machine.Driver(made, plan_of(given, APPLIED, "teams"))
        apply(made)
        start(made, VARIANTS[0])
        made.memory = "private_memory: 64, " if given.tenants > 1000 else ""
        made.write_tenants(given.tenants)
        apply(made)
        start(made, VARIANTS[1])
        warmed.order("end")
        warmed.process.wait(timeout=10)
        told: dict = {"turns": [], "rate": given.rate, "tenants": given.tenants}
        for number in range(given.rounds):
            print(f"  round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
            for source in lean.SOURCES:
                for each in VARIANTS:
                    plan = plan_of(given, each, source)
                    told["turns"].append(lean.turn(made, each, source, given, plan))
        told["complaints"] = {
            each.name: said[:3] for each in VARIANTS if (said := variants.complaints(made, each))
        }
        return {**told, "change": change(made, given)}


def table(found: dict) -> str:
    """A call with one tenant and with many, then the applies and what calls noticed of them."""
    lines = [f"  {found['rate']:g} calls a second"]
    lines.append(f"  {'':<28}{'one':>10}{found['tenants']:>10,}{'ratio':>8}  lowest to highest")
    for source, words in lean.SOURCES.items():
        one, many = (lean.costs(found, each.name, source) for each in VARIANTS)
        ratios = [mine / theirs for theirs, mine in zip(one, many, strict=True) if theirs]
        lines.append(
            f"  {words:<28}{statistics.median(one):>7.0f} us{statistics.median(many):>7.0f} us"
            f"{statistics.median(ratios or [0]):>8.2f}  {min(ratios, default=0):.2f} to"
            f" {max(ratios, default=0):.2f}"
        )
    for what, seconds in found["change"]["seconds"].items():
        lines.append(
            f"  a tenant {what}: {statistics.median(seconds):.2f} s, {max(seconds):.2f} s at most"
        )
    for name, phase in found["change"]["phases"].items():
        counts = phase["counts"]
        lines.append(
            f"  {name}: {counts.get('dialled', 0)} calls, {counts.get('failed', 0)} failed,"
            f" {counts.get('in_dialog', 0)} requests in them, {counts.get('lost', 0)} lost"
        )
    return "\n".join(lines)


def faults(found: dict) -> list[str]:
    """Calls that failed; nothing when all is well."""
    wrong = lean.faults(found)
    wrong += [f"{name} complained: {said}" for name, said in found["complaints"].items()]
    for name, phase in found["change"]["phases"].items():
        counts = phase["counts"]
        if counts.get("failed") or counts.get("lost") or not counts.get("dialled"):
            wrong.append(f"{name}: {counts}, {phase['events'][:3]}")
    return wrong


if __name__ == "__main__":
    report.tell(settings(), run, table, faults)
