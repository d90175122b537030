"""How much slower than an empty Python is each command at its start? Ratios of one run.

The commands take turns, so that whatever else the machine does hits all of them alike; the
median of each is compared. DESIGN section 7 allows `sbcctl --help` 0.15 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 15
CHECKOUT = Path(__file__).parent.parent
EXAMPLE = CHECKOUT / "examples/01-one-pbx/site.yaml"
SBCCTL = Path(sys.executable).with_name("sbcctl")

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "sbcctl --help": [SBCCTL, "--help"],
    "sbcctl version": [SBCCTL, "version"],
    "sbcctl validate": [SBCCTL, "validate", EXAMPLE],
}


def seconds(argv: list[str | Path]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, argv in COMMANDS.items():
            taken[name].append(seconds(argv))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    base = medians["python -c pass"]
    for name, median in medians.items():
        print(f"  {name:<16} {median / base:5.1f} times   {median * 1000:5.0f} ms")


if __name__ == "__main__":
    main()
