"""How much of what a RTPEngine can answer does the library get, and what does a question cost?

Pings, and calls that are offered and deleted again, to a RTPEngine that does nothing else, by
turns: as many as it answers at all (its ceiling, bench/ng/flood.py), one after the other on a bare
socket, by `Client`, and by `AsyncClient` with several under way. The figures are ratios to the
ceiling and processor time of either side for each question, as the kernel counts it. Both
generations of the engines that are at hand (`make engines`), on loopback.

Exit code 1: an answer did not come, was no good, or a call was left over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
sys.path[:0] = [
    str(HERE / "ng"),
    str(HERE / "many"),
    str(TESTS),
    str(TESTS / "ng"),
    str(HERE.parent),
]

import daemons  # noqa: E402 - neither bench nor tests are a package
import flood  # noqa: E402
import lanes  # noqa: E402
import marked  # noqa: E402

import rtpengine_ng as ng  # noqa: E402

FULL = {"rounds": 3, "count": 3000}
QUICK = {"rounds": 1, "count": 200}
SHAPES = ((1, 32), (2, 16), (3, 32))
"""Processes that flood, and questions under way of each: whichever gets most is the ceiling."""
OUTSTANDING = (4, 16)
"""Questions under way in one `AsyncClient`."""
OPTIONS = ("--log-level=5", "--port-min=30000", "--port-max=32999")
KINDS = {"ping": "pings", "offer": "offers and deletes"}
CHEAPER = {"ping": 10, "offer": 1}
"""For so many of these there is one of the other."""


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, for a test")
    parser.add_argument("--root", action="append", help="engines: host, debian13 (all at hand)")
    parser.add_argument("--rounds", type=int, help="turns of each (3)")
    parser.add_argument("--count", type=int, help="offers and deletes of each turn (3000)")
    parser.add_argument("--write", action="store_true", help="write bench/README.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw figures go there")
    given = parser.parse_args()
    for name, value in (QUICK if given.quick else FULL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def daemon_seconds(daemon: daemons.Daemon) -> float:
    """Processor time of the daemon's threads so far."""
    pid = (daemon.folder / "rtpengine.pid").read_text().strip()
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def measured(daemon: daemons.Daemon, ask: Callable[[], tuple[int, float]]) -> dict[str, float]:
    """Questions a second, and microseconds of both sides for each; *ask* tells count and time."""
    before, began = daemon_seconds(daemon), time.perf_counter()
    answered, cpu = ask()
    seconds = time.perf_counter() - began
    used = daemon_seconds(daemon) - before
    return {
        "rate": answered / seconds,
        "client": cpu / answered * 1e6,
        "daemon": used / answered * 1e6,
        "busy": used / seconds,
    }


def flooded(daemon: daemons.Daemon, kind: str, count: int, shape: tuple[int, int]) -> dict:
    """What it answers to some processes that do nothing but ask."""
    processes, outstanding = shape
    script = str(HERE / "ng/flood.py")
    words = (sys.executable, script, str(daemon.port), kind, str(count // processes))
    children = [
        subprocess.Popen(
            [*words, str(outstanding), f"f{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for child in children:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"

    def ask() -> tuple[int, float]:
        for child in children:
            assert child.stdin
            child.stdin.write("go\n")
            child.stdin.flush()
        told = [json.loads(child.communicate(timeout=60)[0]) for child in children]
        for each in told:
            if each["answered"] != each["asked"] or each["bad"]:
                raise SystemExit(f"the flood was not answered as it should: {each}")
        return sum(each["answered"] for each in told), sum(each["cpu"] for each in told)

    return measured(daemon, ask)


def payloads(kind: str, count: int, name: str) -> Iterator[ng.Request]:
    """The same questions for whoever asks one after the other."""
    for number in range(count // 2):
        if kind == "ping":
            yield from (ng.Ping(), ng.Ping())
        else:
            call = f"{name}-{number}@bench"
            yield from (flood.offer(call), flood.delete(call))


def bare(daemon: daemons.Daemon, kind: str, count: int, name: str) -> dict:
    """Datagrams that were written beforehand, one after the other."""
    asked = payloads(kind, count, name)
    written = [b"%s_%d " % (name.encode(), n) + ng.write_request(q) for n, q in enumerate(asked)]

    def ask() -> tuple[int, float]:
        began = time.process_time()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            plain.connect(("127.0.0.1", daemon.port))
            plain.settimeout(2)
            for datagram in written:
                plain.send(datagram)
                plain.recv(65_536)
        return len(written), time.process_time() - began

    return measured(daemon, ask)


def client(daemon: daemons.Daemon, kind: str, count: int, name: str) -> dict:
    """`Client`, one after the other."""

    def ask() -> tuple[int, float]:
        began = time.process_time()
        for question in payloads(kind, count, name):
            daemon.client.ask(question)
        return count // 2 * 2, time.process_time() - began

    return measured(daemon, ask)


def pipelined(daemon: daemons.Daemon, kind: str, count: int, name: str, outstanding: int) -> dict:
    """`AsyncClient` with so many questions under way; each call's in their order."""
    each = count // outstanding // 2 * 2

    async def all_of_them() -> None:
        async with await ng.AsyncClient.connect("127.0.0.1", daemon.port) as asking:

            async def some(place: int) -> None:
                for question in payloads(kind, each, f"{name}-{place}"):
                    await asking.ask(question)

            await asyncio.gather(*(some(place) for place in range(outstanding)))

    def ask() -> tuple[int, float]:
        began = time.process_time()
        asyncio.run(all_of_them())
        return each * outstanding, time.process_time() - began

    return measured(daemon, ask)


def take(daemon: daemons.Daemon, kind: str, given: argparse.Namespace) -> dict[str, list[dict]]:
    """All turns of one kind of questions, by who asks."""
    count = given.count * CHEAPER[kind]
    tried = {shape: flooded(daemon, kind, count, shape) for shape in SHAPES}
    best = max(tried, key=lambda shape: tried[shape]["rate"])
    found: dict[str, list[dict]] = {}
    for turn in range(given.rounds):

        def put(name: str, told: dict) -> None:
            found.setdefault(name, []).append(told)

        put(f"ceiling ({best[0]} times {best[1]})", flooded(daemon, kind, count, best))
        put("bare socket", bare(daemon, kind, count, f"{kind}{turn}"))
        put("Client", client(daemon, kind, count, f"c{turn}"))
        for many in OUTSTANDING:
            told = pipelined(daemon, kind, count, f"a{turn}-{many}", many)
            put(f"AsyncClient, {many} under way", told)
    if left := daemon.client.ask(ng.List()).calls:
        raise SystemExit(f"{len(left)} calls were left over, {left[0]} among them")
    return found


def middle(turns: list[dict], what: str) -> float:
    return statistics.median(each[what] for each in turns)


def table(found: dict[str, dict]) -> str:
    """Rows of markdown for each engine and kind; the first row of a kind is the ceiling."""
    lines = []
    for engine, kinds in found.items():
        for kind, rows in kinds.items():
            lines.append(
                f"| {engine}, {KINDS[kind]} | a second | to the ceiling | asks | answers |"
            )
            lines.append("|---|---|---|---|---|")
            ceiling, *_ = rows.values()
            for name, turns in rows.items():
                ratios = [
                    each["rate"] / top["rate"] for each, top in zip(turns, ceiling, strict=True)
                ]
                rate, ratio = middle(turns, "rate"), statistics.median(ratios)
                costs = " | ".join(f"{middle(turns, key):.0f} us" for key in ("client", "daemon"))
                busy = f", {middle(turns, 'busy'):.0%} of a processor" if turns is ceiling else ""
                lines.append(f"| {name} | {rate:,.0f} | {ratio:.2f} | {costs}{busy} |")
            lines.append("")
    return "\n".join(lines)


def run(given: argparse.Namespace) -> dict[str, dict]:
    found = {}
    for root in given.root or [name for name in lanes.names() if not lanes.missing(name)]:
        if reason := lanes.missing(root):
            raise SystemExit(reason)
        with tempfile.TemporaryDirectory() as folder:
            daemon = daemons.start(root, Path(folder), *OPTIONS)
            try:
                version = ".".join(map(str, daemon.version))
                found[f"RTPEngine {version}"] = {kind: take(daemon, kind, given) for kind in KINDS}
            finally:
                daemon.stop()
    return found


if __name__ == "__main__":
    chosen = settings()
    everything = run(chosen)
    if chosen.json:
        chosen.json.write_text(json.dumps(everything, indent=1))
    told = f"{marked.facts()}; {chosen.rounds} rounds.\n\n{table(everything)}"
    print(told)
    if chosen.write:
        marked.put("ng", told)
