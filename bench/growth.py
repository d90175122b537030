"""How does `sbcctl apply` grow with the number of trunks? Time, and questions to the engines.

For each number of trunks a machine of its own, in namespaces that vanish with it: the first apply,
some that change nothing, some that move the gateway of one trunk. Times are ratios to `python -c
pass` and to the smallest site, taken in the same run. `--write` puts table and plot into
bench/README.md and bench/growth.svg.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "many"), str(HERE.parent / "tests")]

import chart  # noqa: E402 - neither bench nor tests are a package
import crowd  # noqa: E402
import ground  # noqa: E402
import lanes  # noqa: E402
import marked  # noqa: E402

LANE = "debian13" if "debian13" in lanes.names() else "host"
SIZES = (10, 100, 1000)
PLOT = HERE / "growth.svg"
KINDS = ("first", "one trunk", "no change")
RELOAD_PAUSE = 5.5
"""Seconds after which Kamailio takes the next reload; waiting for it is not measured."""


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="trunks (10 100 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="applies of a kind (5)")
    parser.add_argument("--root", default=LANE, help="engines: host, debian12, debian13")
    parser.add_argument("--write", action="store_true", help="write README and plot")
    return parser.parse_args()


def empty_python() -> float:
    """Seconds that an empty Python takes, the median of some."""
    taken = []
    for _ in range(9):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def measure(machine: ground.Ground, *verb: str) -> dict:
    """One run of sbcctl on the machine's site: steps, seconds, processor time, what it asked."""
    report = machine.folder / "report.json"
    words = machine.words("--output", "json", *verb, str(machine.folder / "site.yaml"))
    program = words.index("orchestrator.cli")
    counted = (sys.executable, str(HERE / "many/counted.py"), str(report))
    env = {"PYTHONPATH": str(HERE.parent)}
    began = time.perf_counter()
    ran = machine.run(*counted, *words[program + 1 :], env=env, seconds=400)
    seconds = time.perf_counter() - began
    steps = [step["kind"] for step in json.loads(ran.stdout).get("steps", ())]
    return {"seconds": seconds, "steps": steps, **json.loads(report.read_text())}


def applies(count: int, rounds: int, root: Path | None) -> dict[str, list[dict]]:
    """What the applies to a site of so many trunks took, by kind."""
    found: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder, crowd.Many(Path(folder), root) as machine:
        machine.write(count)
        found["first"].append(measure(machine, "apply"))
        for turn in range(rounds):
            found["no change"].append(measure(machine, "apply"))
            machine.write(count, moved=crowd.FAR * ((turn + 1) % 2))
            time.sleep(RELOAD_PAUSE)
            found["one trunk"].append(measure(machine, "apply"))
    for kind in KINDS:
        for told in found[kind]:
            steps = set(told["steps"])
            assert bool(steps) != (kind == "no change"), (kind, steps)
            assert ("start-kamailio" in steps) == (kind == "first"), (kind, steps)
            assert not {step for step in steps if step.startswith("restart")}, steps
    return found


def middle(found: list[dict], what: str) -> float:
    return statistics.median(told.get(what, 0) for told in found)


def table(sizes: list[int], taken: dict[int, dict], base: float) -> str:
    """Rows of markdown."""
    head = (
        "| apply | trunks | time | to the smallest | to empty Python | processor | RPCs | ng |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    rows = []
    for kind in KINDS:
        least = middle(taken[sizes[0]][kind], "seconds")
        for size in sizes:
            found = taken[size][kind]
            seconds, cpu = middle(found, "seconds"), middle(found, "cpu")
            asked = f"{middle(found, 'rpc'):.0f} | {middle(found, 'ng'):.0f}"
            rows.append(
                f"| {kind} | {size:,} | {seconds:.2f} s | {seconds / least:.2f} "
                f"| {seconds / base:.0f} | {cpu:.2f} s | {asked} |\n"
            )
    return head + "".join(rows)


def plot(sizes: list[int], taken: dict[int, dict], base: float) -> str:
    """Time and questions over the number of trunks, as SVG."""

    def lines(what: str, unit: float) -> chart.Lines:
        return {
            kind: [(size, middle(taken[size][kind], what) / unit) for size in sizes]
            for kind in KINDS
        }

    return chart.draw(
        {
            "time, as often as python -c pass": lines("seconds", base),
            "processor time, as often as python -c pass": lines("cpu", base),
            "questions to Kamailio": lines("rpc", 1),
        }
    )


def main() -> None:
    given = settings()
    sizes = sorted(given.sizes)
    taken = {}
    bases = [empty_python()]
    for size in sizes:
        print(f"{size} trunks ...", file=sys.stderr, flush=True)
        taken[size] = applies(size, given.rounds, lanes.root(given.root))
        bases.append(empty_python())
    base = statistics.median(bases)
    rows = table(sizes, taken, base)
    told = f"{marked.facts(given.root)}; median of {given.rounds}.\n"
    print(f"{rows}\n{told}", end="")
    if given.write:
        PLOT.write_text(plot(sizes, taken, base))
        marked.put("growth", f"{told}\n{rows}\n![growth]({PLOT.name})")


if __name__ == "__main__":
    main()
