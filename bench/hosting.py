"""What does a site with many tenants cost? `validate`, `plan`, `apply`, and Kamailio's restart.

For each number of tenants a machine of its own, in namespaces that vanish with it; each tenant has
a name and a hundred numbers, as one range or one by one. `--quick` is small and takes 20 s,
`--json` writes raw figures, `--write` table and plot into bench/README.md and bench/hosting.svg.
Takes Debian 13's engines (`make engines`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "many"), str(HERE.parent / "tests"), str(HERE.parent)]

import chart  # noqa: E402 - neither bench nor tests are a package
import growth  # noqa: E402
import lanes  # noqa: E402
import marked  # noqa: E402
import provider  # noqa: E402

FULL = (
    *(("ranges", size) for size in (100, 1000, 10_000)),
    *(("singles", size) for size in (100, 1000, 10_000)),
)
PLOT = HERE / "hosting.svg"
QUICK = (("ranges", 10), ("singles", 30))
KINDS = ("validate", "plan", "first", "no change", "one added", "one changed", "one removed")
KINDS += ("100 added", "all changed")
PANELS = {
    "seconds": {
        "validate": ("validate", "seconds"),
        "plan": ("plan", "seconds"),
        "first apply": ("first", "seconds"),
        "restart until a call": ("restart", "seconds"),
    },
    "seconds of an apply": {
        "of nothing": ("no change", "seconds"),
        "one added": ("one added", "seconds"),
        "one changed": ("one changed", "seconds"),
        "one removed": ("one removed", "seconds"),
        "100 added": ("100 added", "seconds"),
        "all changed": ("all changed", "seconds"),
    },
    "MiB": {
        "validate": ("validate", "peak"),
        "plan": ("plan", "peak"),
        "first apply": ("first", "peak"),
        "Kamailio, shared": ("held", "shared"),
        "largest process": ("held", "largest"),
        "all processes' own": ("held", "own"),
    },
}
HELD = {"shared": "shared memory", "largest": "largest process", "own": "all processes' own"}


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, for a test")
    parser.add_argument("--only", choices=("ranges", "singles"), help="leave the others out")
    parser.add_argument("--sizes", type=int, nargs="+", help="leave the others out")
    parser.add_argument("--root", default=growth.LANE, help="engines: host, debian12, debian13")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw figures go there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="an SVG goes there")
    parser.add_argument("--write", action="store_true", help="write README and plot")
    return parser.parse_args()


def measure(machine: provider.Provider, size: int) -> dict:
    """All figures of one site, by what was done."""
    found: dict[str, dict] = {}

    def take(kind: str, verb: str = "apply") -> None:
        found[kind] = told = growth.measure(machine, verb)
        say = f"{told['seconds']:.2f} s, {told['peak']:.0f} MiB, {told.get('rpc', 0)} RPCs"
        print(f"  {kind}: {say} {' '.join(told['steps'])}", file=sys.stderr, flush=True)

    machine.fit(size)
    take("validate", "validate")
    take("plan", "plan")
    take("first")
    found["held"] = machine.held()
    take("no change")
    machine.write(size + 1)
    take("one added")
    machine.write(size + 1, moved=(size // 2,))
    take("one changed")
    machine.write(size, moved=(size // 2,))
    take("one removed")
    machine.write(size + 100, moved=(size // 2,))
    take("100 added")
    # Whoever answers the last tenant's call has its row: a number of nobody goes nowhere.
    found["nobody"] = {"status": machine.call(machine.number(size + 100, 0))}
    machine.write(size + 100, moved=range(size + 100))
    take("all changed")
    found["restart"] = machine.restart(
        machine.number(size + 99, provider.NUMBERS - 1, provider.FAR)
    )
    print(f"  restart: {found['restart']}", file=sys.stderr, flush=True)
    return found


def check(found: dict) -> None:
    """A change must be one, only the first apply starts an engine, nobody's number is no one's."""
    assert found["nobody"]["status"] != "200", found["nobody"]
    for kind in KINDS[2:]:
        steps = found[kind]["steps"]
        assert bool(steps) != (kind == "no change"), (kind, steps)
        assert ("start-kamailio" in steps) == (kind == "first"), (kind, steps)
        assert not [step for step in steps if step.startswith("restart")], (kind, steps)


def rows_of(taken: dict[tuple[str, int], dict]) -> str:
    """Rows of markdown: what is done, and a column for each site."""
    sites = list(taken)
    lines = ["| | " + " | ".join(f"{size:,} {kind}" for kind, size in sites) + " |"]
    lines.append("|---|" + "---|" * len(sites))

    def add(name: str, tell) -> None:
        lines.append(f"| {name} | " + " | ".join(tell(taken[site]) for site in sites) + " |")

    for kind in KINDS[:2]:
        add(kind, lambda of, k=kind: f"{of[k]['seconds']:.2f} s, {of[k]['peak']:.0f} MiB")
    for kind in KINDS[2:]:
        name = "apply of nothing" if kind == "no change" else f"apply, {kind}"
        add(name, lambda of, k=kind: f"{of[k]['seconds']:.2f} s, {of[k].get('rpc', 0)} RPCs")
    add("restart until a call", lambda of: f"{of['restart']['seconds']:.2f} s")
    for kind, name in HELD.items():
        add(f"Kamailio: {name}", lambda of, k=kind: f"{of['held'][k]:.0f} MiB")
    return "\n".join(lines) + "\n"


def steepest(taken: dict[tuple[str, int], dict]) -> str:
    """What grows most from the smallest site to the largest, for either kind of numbers."""
    lines = []
    for numbers in dict.fromkeys(kind for kind, _ in taken):
        low, *_, high = sorted(size for kind, size in taken if kind == numbers) * 2
        grown = {
            f"{title}: {name}": taken[numbers, high][what][key] / taken[numbers, low][what][key]
            for title, told in PANELS.items()
            for name, (what, key) in told.items()
        }
        most = max(grown, key=grown.__getitem__)
        lines.append(
            f"- {numbers}, {low:,} to {high:,} tenants, {high / low:g} times as many: nothing"
            f" grows more than {grown[most]:.1f} times ({most}).\n"
        )
    return "".join(lines)


def plot(taken: dict[tuple[str, int], dict]) -> str:
    """Seconds and memory over the number of tenants, for either kind of numbers, as SVG."""

    def line(numbers: str, what: str, key: str) -> list[tuple[float, float]]:
        return [(size, of[what][key]) for (kind, size), of in taken.items() if kind == numbers]

    panels = {
        f"{title}, {numbers}": {what: line(numbers, *place) for what, place in told.items()}
        for numbers in dict.fromkeys(kind for kind, _ in taken)
        for title, told in PANELS.items()
    }
    return chart.draw(panels, "tenants")


def main() -> None:
    given = settings()
    taken = {}
    for numbers, size in QUICK if given.quick else FULL:
        if given.only not in (None, numbers) or (given.sizes and size not in given.sizes):
            continue
        print(f"{size} tenants, {numbers} ...", file=sys.stderr, flush=True)
        root = lanes.root(given.root)
        with (
            tempfile.TemporaryDirectory() as folder,
            provider.Provider(Path(folder), root, numbers) as machine,
        ):
            taken[numbers, size] = measure(machine, size)
        check(taken[numbers, size])
        if given.json:
            raw = {f"{kind} {count}": found for (kind, count), found in taken.items()}
            given.json.write_text(json.dumps(raw, indent=1))
    told = f"{marked.facts(given.root)}.\n\n{rows_of(taken)}\n{steepest(taken)}"
    print(told)
    if given.plot:
        given.plot.write_text(plot(taken))
    if given.write:
        PLOT.write_text(plot(taken))
        marked.put("hosting", f"{told}\n![hosting]({PLOT.name})")


if __name__ == "__main__":
    main()
