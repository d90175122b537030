"""What do calls notice of a restart by `sbcctl apply`, and is it what was said before?

The load is that of load.py: a carrier and Teams call a PBX, new calls by the clock, standing ones,
some with audio. Changes of site.yaml restart Kamailio and RTPEngine, with `--drain` and without.
What happened to the calls stands beside what sbcctl said it would cost. Takes three minutes.

Exit code 1: calls noticed more than that.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "calls"))

import machine
import report
import restarts

sys.path.insert(0, str(machine.CHECKOUT / "tests"))
import lanes

LANE = "debian13" if "debian13" in lanes.names() else "host"
RING = 3.0
BEFORE, AFTER, SETTLE = 6.0, 8.0, 4.0
"""Seconds of each phase before and after the apply, and between two of them."""


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=report.Formatter)
    parser.add_argument("--root", default=LANE, help="engines: host, debian12, debian13")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw figures go there")
    parser.add_argument("--rate", type=float, default=50, help="new calls a second (50)")
    parser.add_argument("--standing", type=int, default=500, help="calls that stand (500)")
    parser.add_argument("--talking", type=int, default=100, help="how many have audio (100)")
    return parser.parse_args()


def change_kamailio(site: machine.Site) -> None:
    site.values["interval"] += 1


def change_rtpengine(site: machine.Site) -> None:
    site.values["first"] += 100


# The drains come first: calls that rang when Kamailio was restarted stay in RTPEngine for a while,
# and a drain would wait for them.
CHANGES: dict[str, tuple[Callable[[machine.Site], None], tuple[str, ...]]] = {
    "kamailio-drained": (change_kamailio, ("--drain", "8s")),
    "rtpengine-drained": (change_rtpengine, ("--drain", "60s")),
    "kamailio": (change_kamailio, ()),
    "rtpengine": (change_rtpengine, ()),
}
ENDS = "rtpengine-drained"
"""While this one drains, the standing calls are hung up: the drain ends with the last of them."""


def restart(
    ground: machine.Machine, driver: machine.Driver, name: str, site: machine.Site
) -> dict:
    """One restart under load; what sbcctl said."""
    change, words = CHANGES[name]
    print(f"  restart: {name}", file=sys.stderr, flush=True)
    driver.order(f"phase {name}")
    time.sleep(BEFORE)
    change(site)
    ground.write(site)
    planned = ground.carry_out("plan")["said"]
    if name == ENDS:
        driver.ask("hang-up")
    said = {**ground.carry_out("apply", *words), "plan": planned}
    if name == ENDS:
        driver.heard()
    time.sleep(AFTER)
    driver.order(f"phase after-{name}")
    time.sleep(SETTLE)
    if name == ENDS:
        driver.order("fill")
        time.sleep(SETTLE)
    return said


def run(given: argparse.Namespace, folder: Path) -> dict:
    """The whole run; returns everything that was found."""
    plan = {**machine.plan_of(given), "ring": RING, "period": 20, "gap": 60}
    with machine.Machine(folder, lanes.root(given.root)) as ground:
        driver = machine.Driver(ground, plan)
        site = machine.Site()
        first = ground.carry_out()
        if first["code"]:
            raise SystemExit(f"the first apply failed: {first['said']}")
        driver.order("fill")
        driver.order("phase settle")
        time.sleep(SETTLE + RING)
        driver.order("phase control")
        time.sleep(BEFORE + AFTER)
        applies = {name: restart(ground, driver, name, site) for name in CHANGES}
        driver.order("end")
        return {**driver.found(), "applies": applies, "plan": plan}


if __name__ == "__main__":
    report.tell(settings(), run, restarts.table, restarts.faults)
