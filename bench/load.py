"""What do calls notice of `sbcctl apply`? The same load without and with applies, in one run.

Calls go from a carrier, and a tenth as many from Teams over TLS, to a PBX through the rendered
configuration: new ones by the clock, and standing ones, in each of which somebody asks something
now and then and of which some talk, both ways through RTPEngine (with Teams SRTP). Everything
runs in namespaces that vanish with it, on the engines of Debian 13 (`make engines`). The whole
takes less than eight minutes, `--quick` less than 40 s.

Exit code 1: a call failed, a dialog was lost, or audio had a gap of more than 60 ms.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "calls"))

import machine
import report

sys.path.insert(0, str(machine.CHECKOUT / "tests"))
import lanes

LANE = "debian13" if "debian13" in lanes.names() else "host"
FULL = {"applies": 100, "rate": 50, "standing": 500, "talking": 100, "control": 60, "period": 20}
MOST_SECONDS = 420
QUICK = {"applies": 5, "rate": 10, "standing": 50, "talking": 10, "control": 5, "period": 4}


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=report.Formatter)
    parser.add_argument("--quick", action="store_true", help="small and short, for a test")
    parser.add_argument("--root", default=LANE, help="engines: host, debian12, debian13")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw figures go there")
    parser.add_argument("--applies", type=int, help="how many (100)")
    parser.add_argument("--rate", type=float, help="new calls a second (50)")
    parser.add_argument("--standing", type=int, help="calls that stand (500)")
    parser.add_argument("--talking", type=int, help="how many of them have audio (100)")
    parser.add_argument("--control", type=float, help="seconds without applies (60)")
    parser.add_argument("--period", type=float, help="seconds between two questions in a dialog")
    parser.add_argument("--gap", type=int, default=60, help="milliseconds of silence (60)")
    given = parser.parse_args()
    for name, value in (QUICK if given.quick else FULL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def run(given: argparse.Namespace, folder: Path) -> dict:
    """The whole run; returns everything that was found."""
    plan = {**machine.plan_of(given), "ring": 0.5, "period": given.period, "gap": given.gap}
    with machine.Machine(folder, lanes.root(given.root)) as ground:
        driver = machine.Driver(ground, plan)
        site = machine.Site()
        first = ground.carry_out()
        if first["code"]:
            raise SystemExit(f"the first apply failed: {first['said']}")
        say(f"  {given.standing} calls are set up")
        driver.order("fill")
        driver.order("phase settle")
        time.sleep(min(5, given.control))
        say(f"  control: {given.control:g} s without applies")
        driver.order("phase control")
        time.sleep(given.control)
        say(f"  applies: {given.applies}")
        driver.order("phase applies")
        applies = []
        end = time.monotonic() + MOST_SECONDS
        for turn in range(given.applies):
            if time.monotonic() > end:
                say(f"  no time for more than {turn} applies")
                break
            changed = site.change(turn)
            ground.write(site)
            applies.append({"changed": changed, **ground.carry_out()})
        driver.order("phase after")
        driver.order("end")
        return {**driver.found(), "applies": applies, "plan": plan}


if __name__ == "__main__":
    report.tell(settings(), run, report.table, report.faults)
