"""What very many tenants cost a call, and what calls notice of a tenant that comes or goes.

Kamailios as `sbcctl apply` renders them, one with a single tenant and others with up to ten
thousand more, take turns at one rate, with calls of that tenant both ways between Teams and a PBX.
The processor time of all their processes is what the kernel counts; all pass the SDP on as it is
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
import chart
import lanes
import marked
import provider

PLOT = Path(__file__).parent / "tenants.svg"
TENANT = "load"
"""The tenant whose calls these are."""
FULL = {
    "rounds": 3,
    "rate": 100,
    "seconds": 6.0,
    "sizes": (100, 1000, 10_000),
    "turns": 5,
    "interval": 5,
}
QUICK = {"rounds": 1, "rate": 20, "seconds": 1.0, "sizes": (100,), "turns": 1, "interval": 60}
SITE = """\
version: 1
site: load
node: {{public_address: 203.0.113.10, trunk_address: 192.0.2.10}}
teams:
  fqdn: sbc.example.com
  networks: [198.51.100.0/24]
  trusted_roots: {folder}/ca.pem
  options_interval: {interval}
certificate:
  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}
trunks:
  office: {{kind: pbx, gateways: ["sip:192.0.2.20"]}}
engines: {{{memory}accept_risk: kamailio before 6.0 can be crashed by concurrent TLS handshakes}}
tenants: {{include: tenants.jsonl}}
"""
ONE = variants.Variant("one", "192.0.2.13", "203.0.113.13", has_media=False)
PHASES = {"control": "Before", "applies": "Meanwhile"}
APPLIED = variants.VARIANTS[-1]


class Machine(lean.Machine):
    """The machine of the load with tenants on it."""

    memory = ""
    interval = 60
    pairs = (ONE, APPLIED)

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
        text = SITE.format(folder=self.folder, memory=self.memory, interval=self.interval)
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
    parser.add_argument("--rounds", type=int, help="turns of each (3)")
    parser.add_argument("--rate", type=float, help="calls a second (100)")
    parser.add_argument("--seconds", type=float, help="of each turn (6)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="an SVG goes there")
    parser.add_argument("--write", action="store_true", help="write bench/README.md and plot")
    parser.add_argument("--sizes", type=int, nargs="+", help="tenants (100 1000 10000)")
    parser.add_argument("--interval", type=int, help="seconds between OPTIONS (5)")
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


def many(size: int, place: int) -> variants.Variant:
    """The Kamailio with so many tenants more."""
    ends = (f"192.0.2.{40 + place}", f"203.0.113.{40 + place}")
    return variants.Variant(str(size), *ends, has_media=False)


def fit(made: Machine, size: int) -> None:
    """Write a site of so many tenants more, with the memory it needs."""
    made.memory = "private_memory: 64, " if size > 1000 else ""
    made.write_tenants(size)


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
    # As long as it has not asked again: its OPTIONS found nobody meanwhile (lean.turn).
    driver.order("phase settle")
    time.sleep(lean.AGAIN if given.interval < lean.AGAIN else given.seconds)
    driver.order("phase control")
    time.sleep(given.seconds)
    driver.order("phase applies")
    size = given.sizes[-1]
    taken: dict[str, list[float]] = {"added": [], "changed": [], "removed": []}
    for _ in range(given.turns):
        for what, count, moved in (
            ("added", size + 1, None),
            ("changed", size + 1, size // 2),
            ("removed", size, size // 2),
        ):
            made.write_tenants(count, moved=moved)
            taken[what].append(apply(made)["seconds"])
        made.write_tenants(size)
        apply(made)
    driver.order("end")
    driver.process.wait(timeout=10)
    phases = driver.found()["phases"]
    return {"seconds": taken, "phases": {name: phases[name] for name in ("control", "applies")}}


def run(given: argparse.Namespace, folder: Path) -> dict:
    """The whole run; returns everything that was found."""
    given.sizes = sorted(given.sizes)
    sizes = {many(size, place): size for place, size in enumerate(given.sizes)}
    made = Machine(folder, lanes.root(given.root))
    made.pairs, made.interval = (*Machine.pairs, *sizes), given.interval
    with made:
        warmed = machine.Driver(made, plan_of(given, APPLIED, "teams"))
        apply(made)
        start(made, ONE)
        for variant, size in sizes.items():
            fit(made, size)
            apply(made)
            start(made, variant)
        warmed.order("end")
        warmed.process.wait(timeout=10)
        told: dict = {"turns": [], "rate": given.rate, "sizes": given.sizes}
        for number in range(given.rounds):
            print(f"  round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
            for source in lean.SOURCES:
                for each in (ONE, *sizes):
                    plan = plan_of(given, each, source)
                    told["turns"].append(lean.turn(made, each, source, given, plan))
        told["complaints"] = {
            each.name: said[:3]
            for each in (ONE, *sizes)
            if (said := variants.complaints(made, each))
        }
        found = {**told, "change": change(made, given)}
    if given.plot:
        given.plot.write_text(plot(found))
    if given.write and not faults(found):
        PLOT.write_text(plot(found))
        told = f"{marked.facts(given.root)}; {given.rounds} rounds of {given.seconds:g} s."
        marked.put("tenants", f"{told}\n\n{table(found)}\n![a call]({PLOT.name})")
    return found


def table(found: dict) -> str:
    """Rows of markdown: a call by tenants, then the applies and what calls noticed of them."""
    names = [ONE.name, *map(str, found["sizes"])]
    heads = ("", "one tenant", *(f"{size:,} more" for size in found["sizes"]), "ratio", "spread")
    rows = [heads, ("---",) * len(heads)]
    for source, words in lean.SOURCES.items():
        costs = [lean.costs(found, name, source) for name in names]
        ratios = [mine / one for one, mine in zip(costs[0], costs[-1], strict=True) if one]
        middle = (f"{statistics.median(each) / 1000:.2f} ms" for each in costs)
        spread = f"{min(ratios, default=0):.2f} to {max(ratios, default=0):.2f}"
        rows.append((words, *middle, f"{statistics.median(ratios or [0]):.2f}", spread))
    rows += [(), ("a tenant, while calls go on", "median", "at most"), ("---",) * 3]
    for what, seconds in found["change"]["seconds"].items():
        rows.append((what, f"{statistics.median(seconds):.2f} s", f"{max(seconds):.2f} s"))
    lines = [f"| {' | '.join(row)} |" if row else "" for row in rows]
    for name, phase in found["change"]["phases"].items():
        counts = phase["counts"]
        failed = counts.get("failed", 0) + counts.get("lost", 0)
        lines += ["", f"{PHASES[name]}: {counts.get('dialled', 0):,} calls, {failed} failed."]
    return "\n".join(lines) + "\n"


def plot(found: dict) -> str:
    """Processor time of a call over the number of tenants, as SVG."""
    sizes = {ONE.name: 1, **{str(size): size + 1 for size in found["sizes"]}}

    def line(source: str) -> list[tuple[float, float]]:
        costs = {size: lean.costs(found, name, source) for name, size in sizes.items()}
        return [(size, statistics.median(each)) for size, each in costs.items()]

    told = {words: line(source) for source, words in lean.SOURCES.items()}
    return chart.draw({"microseconds of a call in Kamailio": told}, "tenants")


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
