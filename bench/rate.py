"""How many calls a second until one in a hundred fails: ours beside the smallest proxy.

The smallest record-routing proxy between TLS and UDP (bench/lean/bare.cfg), what `sbcctl apply`
renders with one tenant, and with ten thousand; each with RTPEngine and without (bench/lean.py).
Half of the calls go from Teams to a PBX, half from the PBX to Teams. The SBC (all of Kamailio, and
RTPEngine) has one processor, the generator has the others; workers are as many everywhere. A call
fails when anything but 200 comes, or nothing within half a second. Engines: those of Debian 13.

Exit code 1: calls failed at a rate that is nothing, so the figures are of something else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "calls"))
sys.path.insert(0, str(Path(__file__).parent / "lean"))
sys.path.insert(0, str(Path(__file__).parent / "rate"))

import lean
import machine
import report
import searching
import tenants
import variants

sys.path.insert(0, str(machine.CHECKOUT / "tests"))
import ground
import lanes
import marked

HERE = Path(__file__).parent
FULL = {"tenants": 10_000, "seconds": 4.0, "turns": 6}
QUICK = {"tenants": 20, "seconds": 1.0, "turns": 1}
SLOW = 100.0
"""Calls a second that are nothing: what a call costs is measured with them."""
SETTLED = 3.0
MEMORY = "shared_memory: 2048, "
"""Transactions stay for five seconds: with the default of 256 MB it is memory that ends first."""
RECOVERIES = 10
CEILING = 0.75
"""A generator that is as busy as that is what was measured."""


@dataclass(frozen=True)
class Contender:
    """What is measured: how it is called, which Kamailio it is, and how many tenants it has."""

    name: str
    variant: variants.Variant
    has_many: bool = False


APPLIED = variants.VARIANTS[-1]
BARE, _, BARE_MEDIA, _ = variants.VARIANTS
ONE = variants.Variant("one", "192.0.2.13", "203.0.113.13", has_media=False)
MANY = variants.Variant("many", "192.0.2.15", "203.0.113.15", has_media=False)
CONTENDERS = (
    Contender("bare", BARE),
    Contender("one", ONE),
    Contender("many", MANY, has_many=True),
    Contender("bare+media", BARE_MEDIA),
    Contender("one+media", APPLIED),
    Contender("many+media", APPLIED, has_many=True),
)


class Machine(tenants.Machine):
    """The machine with tenants, and addresses for one Kamailio more."""

    memory = MEMORY

    pairs = (BARE, ONE, MANY, BARE_MEDIA, APPLIED)


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=report.Formatter)
    parser.add_argument("--quick", action="store_true", help="small and short, for a test")
    parser.add_argument("--root", default=lean.LANE, help="engines: host, debian12, debian13")
    parser.add_argument("--write", action="store_true", help="write bench/README.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw figures go there")
    names = [each.name for each in CONTENDERS]
    parser.add_argument("--only", nargs="+", default=names, choices=names, help="some of them")
    parser.add_argument("--tenants", type=int, help="how many are very many (10,000)")
    parser.add_argument("--seconds", type=float, help="of each rate (4)")
    parser.add_argument("--turns", type=int, help="rates that are tried (6)")
    given = parser.parse_args()
    for name, value in (QUICK if given.quick else FULL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def shared_out() -> tuple[int, list[int]]:
    """The processor of the SBC, and the generator's; the same where there is no other."""
    first, *others = sorted(os.sched_getaffinity(0))
    return first, others or [first]


class Ends:
    """Both ends of all calls, and the orders they take."""

    def __init__(self, made: Machine) -> None:
        self.made = made
        self.sbc, self.processors = shared_out()
        plan = {
            "teams": ground.TEAMS,
            "office": machine.CALLEE,
            "folder": str(made.folder),
            "processors": self.processors,
        }
        script = str(HERE / "rate/party.py")
        self.ends = {
            name: made.start(sys.executable, script, name, json.dumps(plan))
            for name in ("teams", "office")
        }
        for name in self.ends:
            self._heard(name, b"ready")

    def _heard(self, name: str, wanted: bytes) -> bytes:
        stream = self.ends[name].stdout
        assert stream
        line = stream.readline()
        if not line.startswith(wanted):
            raise RuntimeError(f"{name}: " + (line + stream.read()).decode())
        return line

    def _order(self, name: str, words: str) -> None:
        stream = self.ends[name].stdin
        assert stream
        stream.write(words.encode() + b"\n")
        stream.flush()

    def call(self, variant: variants.Variant, rate: float, seconds: float) -> list[dict]:
        """So many calls a second, half of them of each end; what became of them."""
        order = {
            "rate": rate / 2,
            "seconds": seconds,
            "sbc": (variant.trunks, variant.teams),
            "fqdn": f"{tenants.TENANT}.sbc.example.com",
            "dialled": {"teams": machine.DIALLED, "office": lean.CALLS_TEAMS},
        }
        answered = {"teams": machine.CALLEE, "office": ground.TEAMS[0]}
        if variant.has_media:
            answered = {"teams": APPLIED.teams, "office": APPLIED.trunks}
        for name in self.ends:
            told = {**order, "relayed": f"c=IN IP4 {answered[name]}\r\n"}
            self._order(name, json.dumps(told))
            self._heard(name, b"ready")
        for name in self.ends:
            self._order(name, "go")
        return [json.loads(self._heard(name, b"{")) for name in self.ends]

    def step(self, variant: variants.Variant, rate: float, seconds: float) -> dict:
        """One rate: what failed, what a call cost, and how busy both sides were."""
        lost = self._lost(variant.trunks)
        before, began = self._used(variant), time.monotonic()
        told = self.call(variant, rate, seconds)
        spent = time.monotonic() - began
        kamailio, media, busy = (
            after - at for after, at in zip(self._used(variant), before, strict=True)
        )
        dialled, good = (sum(each[key] for each in told) for key in ("dialled", "good"))
        wrong = {
            f"{n}, {why}": c
            for n, e in zip(self.ends, told, strict=True)
            for why, c in e["wrong"].items()
        }
        asking = sum(each["cpu"] for each in told) / len(self.processors)
        return {
            "rate": rate,
            "dialled": dialled,
            "failed": 1 - good / dialled,
            "wrong": wrong,
            "kamailio": kamailio / dialled * 1e6,
            "rtpengine": media / dialled * 1e6,
            "others": max(0.0, busy - kamailio - media) / spent,
            "asking": asking / seconds,
            "lost": self._lost(variant.trunks) - lost,
            "behind": max(each["behind"] for each in told),
        }

    def _used(self, variant: variants.Variant) -> tuple[float, float, float]:
        """Seconds of Kamailio's, of RTPEngine's, and that the SBC's processor had work."""
        media = 0.0
        if variant.has_media:
            files = (f for each in rtpengines(self.made) for f in each.glob("task/*/schedstat"))
            media = sum(int(file.read_text().split()[0]) for file in files) / 1e9
        return variants.cpu_seconds(self.made, variant), media, busy_seconds(self.sbc)

    def _lost(self, address: str) -> int:
        """Datagrams so far that its socket had no room for, because no worker came in time."""
        packed = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
        rows = self.made.run("cat", "/proc/net/udp").stdout.splitlines()[1:]
        fields = (row.split() for row in rows)
        return sum(int(each[-1]) for each in fields if each[1] == f"{packed}:13C4")

    def pin(self) -> None:
        """Give the SBC its processor, whichever of its processes there are by now."""
        folders = [p for each in self.made.pairs for p in variants.processes(self.made, each)]
        for folder in (*folders, *rtpengines(self.made)):
            for task in (folder / "task").iterdir():
                os.sched_setaffinity(int(task.name), {self.sbc})


def rtpengines(made: Machine) -> list[Path]:
    """Folders in /proc of the machine's RTPEngine."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            line = (each / "cmdline").read_bytes()
            if str(made.folder).encode() in line and (each / "comm").read_text() == "rtpengine\n":
                found.append(each)
        except OSError:
            continue
    return found


def busy_seconds(processor: int) -> float:
    """How long a processor had work since it began."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{processor}":
            user, nice, system, _, _, *interrupts = map(int, ticks[:8])
            return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    raise LookupError(processor)


def measure(ends: Ends, contender: Contender, given: argparse.Namespace) -> dict:
    """What a call costs at a rate that is nothing, then all rates that were tried."""
    slow = ends.step(contender.variant, SLOW, given.seconds)
    steps: list[dict] = []

    def failed(rate: float) -> float:
        steps.append(ends.step(contender.variant, rate, given.seconds))
        step = steps[-1]
        words = f"{rate:.0f} a second, {step['failed']:.1%} failed {step['wrong']}"
        print(f"  {contender.name}: {words}", file=sys.stderr, flush=True)
        if step["failed"] > searching.MOST_FAILED:
            recover(ends, contender.variant)
        return step["failed"]

    searching.search(failed, worth(slow), given.turns)
    return {"slow": slow, "steps": steps}


def recover(ends: Ends, variant: variants.Variant) -> None:
    """Wait until what was left over from too many calls is done with: the next rate is another."""
    for _ in range(RECOVERIES):
        time.sleep(1)
        if not ends.step(variant, SLOW, 0.5)["failed"]:
            return


def cost(step: dict) -> float:
    """Microseconds of the SBC's processor for each call."""
    return step["kamailio"] + step["rtpengine"]


def worth(step: dict) -> float:
    """Calls a second that one processor would do, if each cost as much as these did."""
    return 1e6 / cost(step)


def run(given: argparse.Namespace, folder: Path) -> dict:
    """The whole run; returns everything that was found."""
    wanted = [each for each in CONTENDERS if each.name in given.only]
    found: dict = {"tenants": given.tenants, "contenders": {}}
    with Machine(folder, lanes.root(given.root)) as made:
        ends = Ends(made)
        for has_many in (False, True):
            some = [each for each in wanted if each.has_many == has_many]
            if has_many and some:
                made.memory = MEMORY + "private_memory: 64, " * (given.tenants > 1000)
                made.write_tenants(given.tenants)
            if some or not has_many:
                tenants.apply(made)
            for each in some:
                variants.start(made, each.variant)
            # Ours must have heard Microsoft's names answer OPTIONS before it sends calls there.
            time.sleep(SETTLED)
            ends.pin()
            for each in some:
                found["contenders"][each.name] = measure(ends, each, given)
        found["facts"] = marked.facts(given.root)
    if given.write and not faults(found):
        marked.put("rate", f"{found['facts']}.\n\n{table(found)}")
    return found


HEAD = (
    *("", "a call at 100/s", "at the highest rate", "of that RTPEngine", "calls a second"),
    *("more than 1 % failed at", "a processor comes to", "generator", ""),
)


def table(found: dict) -> str:
    """Rows of markdown: what a call costs, the highest good rate, and the lowest that was not."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for name, each in found["contenders"].items():
        good, bad = searching.bounds(each["steps"])
        top = good or each["slow"]
        rows.append(
            (
                titled(name, found["tenants"]),
                *(f"{us / 1000:.2f} ms" for us in (cost(each["slow"]), cost(top))),
                f"{top['rtpengine'] / 1000:.2f} ms" if top["rtpengine"] else "",
                *(f"{step['rate']:,.0f}" if step else "-" for step in (good, bad)),
                *(f"{worth(top):,.0f}", f"{top['asking']:.0%}", said(good, bad)),
            )
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def titled(name: str, tenants: int) -> str:
    """What a contender is called in a table."""
    kind, _, media = name.partition("+")
    kinds = {"bare": "smallest proxy", "one": "ours, one tenant", "many": f"ours, {tenants:,}"}
    return kinds[kind] + (", media" if media else "")


def said(good: dict | None, bad: dict | None) -> str:
    """What is not of the SBC's doing."""
    steps = [step for step in (good, bad) if step]
    if any(step["asking"] >= CEILING for step in steps):
        return "the generator is the limit"
    others = max(step["others"] for step in steps)
    return f"others had {others:.0%} of its processor" if others > 0.1 else ""


def faults(found: dict) -> list[str]:
    """Calls that failed at a rate that is nothing; nothing when all is well."""
    wrong = []
    for name, each in found["contenders"].items():
        slow = each["slow"]
        if slow["failed"] > searching.MOST_FAILED:
            wrong.append(f"{name}: {slow['failed']:.1%} of {slow['dialled']}, {slow['wrong']}")
    return wrong


if __name__ == "__main__":
    report.tell(settings(), run, table, faults)
