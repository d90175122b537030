"""What does a call cost in Kamailio: the rendered configuration beside the smallest proxy?

A call is INVITE, 200, ACK, BYE, 200, from Teams to a PBX and from the PBX to Teams. The Kamailios
take turns at one rate, and the processor time of all their processes is what the kernel counts.
With media both ask RTPEngine (offer, answer, delete). Without media both pass the SDP on as it is:
ours is then a copy of what was rendered in which the routes for RTPEngine are empty. The engines
are those of Debian 13 (`make engines`), in namespaces that vanish with it.

Exit code 1: a call failed, so the figures are of something else.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "calls"))
sys.path.insert(0, str(Path(__file__).parent / "lean"))

import machine
import report
import variants

sys.path.insert(0, str(machine.CHECKOUT / "tests"))
import certs
import ground
import lanes
from cryptography.x509.oid import ExtendedKeyUsageOID

LANE = "debian13" if "debian13" in lanes.names() else "host"
SOURCES = {"teams": "Teams to PBX", "office": "PBX to Teams"}
CALLS_TEAMS = "+4989666"
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
FULL = {"rounds": 5, "rate": 100, "seconds": 8.0}
TURNS, SETTLED, AGAIN = 4, 0.5, 6.0
"""How often a turn is taken in which nobody was there; seconds before the first, and others."""
INTERVAL = 5
"""Seconds between OPTIONS: a turn after a longer wait finds everybody there."""
QUICK = {"rounds": 1, "rate": 50, "seconds": 1.0}


class Machine(machine.Machine):
    """The machine of the load with an address pair for each variant."""

    teams: tuple[str, ...] = ()
    pairs = variants.VARIANTS

    def settle(self) -> None:
        more = [address for each in self.pairs for address in (each.trunks, each.teams)]
        own = [address for address in more if address not in ground.ADDRESSES]
        self.run("sh", "-ec", "".join(f"ip addr add {each}/32 dev lo;" for each in own))
        super().settle()

    def write_site(self, *changes: tuple[str, str]) -> None:
        """The first site.yaml, and a certificate that is for clients too: Python wants that."""
        assert not changes
        site = machine.Site()
        site.values["interval"] = INTERVAL
        self.write(site)
        key = certs.rsa_key(2)
        leaf = self.ca.leaf("sbc.example.com", key=key, usage=BOTH)
        (self.folder / "sbc.chain").write_bytes(leaf + self.ca.pem)


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=report.Formatter)
    parser.add_argument("--quick", action="store_true", help="small and short, for a test")
    parser.add_argument("--root", default=LANE, help="engines: host, debian12, debian13")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw figures go there")
    parser.add_argument("--rounds", type=int, help="turns of each (5)")
    parser.add_argument("--rate", type=float, help="calls a second (100)")
    parser.add_argument("--seconds", type=float, help="of each turn (8)")
    given = parser.parse_args()
    for name, value in (QUICK if given.quick else FULL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def plan_of(given: argparse.Namespace, variant: variants.Variant, source: str) -> dict:
    """What the generator is told for one turn."""
    return {
        **machine.plan_of(argparse.Namespace(rate=0, standing=0, talking=0)),
        "rate": {source: given.rate},
        "standing": {source: 0},
        "talking": {source: 0},
        "ring": 0,
        "hold": 0.5,
        "period": 10,
        "gap": 60,
        "proxy": (variant.trunks, variant.teams),
        "is_relayed": variant.has_media,
        "proxies": {
            "names": ground.TEAMS,
            "connections": 3,
            "interval": 60,
            "dialled": CALLS_TEAMS,
        },
    }


def turn(
    made: Machine,
    variant: variants.Variant,
    source: str,
    given: argparse.Namespace,
    plan: dict | None = None,
) -> dict:
    """One variant under load: processor time from the first INVITE to the last BYE.

    OPTIONS that came between two turns found nobody. Then calls get 503 until the next ones, and
    the turn is taken again, with somebody there for longer before it.
    """
    plan = plan or plan_of(given, variant, source)
    wait = SETTLED
    for _ in range(TURNS):
        told = _turn(made, variant, given, plan, wait)
        if told["calls"] and not told["found_nobody"]:
            break
        wait = AGAIN
    return {**told, "source": source}


def _turn(
    made: Machine, variant: variants.Variant, given: argparse.Namespace, plan: dict, wait: float
) -> dict:
    driver = machine.Driver(made, plan)
    driver.order("fill")
    # The connections are dialled and the first OPTIONS answered before anything is counted.
    time.sleep(wait)
    before = variants.cpu_seconds(made, variant)
    driver.order("phase turn")
    time.sleep(given.seconds)
    driver.order("end")
    used = variants.cpu_seconds(made, variant) - before
    driver.process.wait(timeout=10)
    phase = driver.found()["phases"]["turn"]
    calls = phase["counts"].get("connected", 0)
    return {
        "variant": variant.name,
        "calls": calls,
        "microseconds": used / max(1, calls) * 1e6,
        "counts": phase["counts"],
        "events": phase["events"][:3],
        "found_nobody": any(each["what"].endswith(": 503") for each in phase["events"]),
    }


def idle(made: Machine, seconds: float) -> dict[str, float]:
    """Processor time of each without calls, in microseconds a second: all at the same time."""
    before = {each: variants.cpu_seconds(made, each) for each in variants.VARIANTS}
    time.sleep(seconds)
    after = {each: variants.cpu_seconds(made, each) for each in variants.VARIANTS}
    return {each.name: (after[each] - before[each]) / seconds * 1e6 for each in before}


def run(given: argparse.Namespace, folder: Path) -> dict:
    """The whole run; returns everything that was found."""
    with Machine(folder, lanes.root(given.root)) as made:
        warmed = machine.Driver(made, plan_of(given, variants.VARIANTS[-1], "teams"))
        first = made.carry_out()
        if first["code"]:
            raise SystemExit(f"the first apply failed: {first['said']}")
        for variant in variants.VARIANTS:
            variants.start(made, variant)
        # Ours must have heard Microsoft's names answer OPTIONS before it sends calls there.
        time.sleep(3)
        warmed.order("end")
        warmed.process.wait(timeout=10)
        told = {"idle": idle(made, min(5.0, given.seconds)), "turns": []}
        for number in range(given.rounds):
            print(f"  round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
            for source in SOURCES:
                told["turns"] += [turn(made, each, source, given) for each in variants.VARIANTS]
        return {**told, "rate": given.rate, "seconds": given.seconds}


def costs(found: dict, name: str, source: str) -> list[float]:
    """Microseconds of each call of a variant, turn by turn."""
    turns = (each for each in found["turns"] if each["variant"] == name)
    return [each["microseconds"] for each in turns if each["source"] == source]


def table(found: dict) -> str:
    """Each pair side by side: medians, and the ratio of neighbours with its spread."""
    lines = [f"  {found['rate']:g} calls a second, turns of {found['seconds']:g} s"]
    lines.append(f"  {'':<28}{'bare':>10}{'ours':>10}{'ratio':>8}  lowest to highest")
    for bare, ours in variants.PAIRS:
        for source, words in SOURCES.items():
            pair = costs(found, bare, source), costs(found, ours, source)
            ratios = [mine / theirs for theirs, mine in zip(*pair, strict=True) if theirs]
            middle = [f"{statistics.median(each):.0f} us" for each in pair]
            media = ", media" if bare.endswith("media") else ""
            low, high = min(ratios, default=0), max(ratios, default=0)
            ratio = statistics.median(ratios or [0])
            lines.append(
                f"  {words + media:<28}{middle[0]:>10}{middle[1]:>10}{ratio:>8.2f}"
                f"  {low:.2f} to {high:.2f}"
            )
    quiet = ", ".join(f"{name} {used / 1e4:.2f} %" for name, used in found["idle"].items())
    return "\n".join([*lines, f"  of a processor without calls: {quiet}"])


def faults(found: dict) -> list[str]:
    """Calls that failed; nothing when all is well."""
    wrong = []
    for each in found["turns"]:
        counts = each["counts"]
        dialled, failed = counts.get("dialled", 0), counts.get("failed", 0) + counts.get("lost", 0)
        if failed or each["calls"] != dialled or not dialled:
            words = f"{each['variant']}, {SOURCES[each['source']]}"
            wrong.append(f"{words}: {each['calls']} of {dialled} calls, {each['events']}")
    return wrong


if __name__ == "__main__":
    report.tell(settings(), run, table, faults)
