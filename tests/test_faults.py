"""Every file operation and every exchange of apply and rollback fails once, in every way it can.

Hit are real system calls of the real program, by strace (tests/faults.py). After each fault the
old or the new generation is current and whole, nobody has said done who was not, the engines
answer, and the next run succeeds. `make test` kills at every operation, the first and the last of
what a loop repeats for file after file, and refuses each with one errno in turn; `make faults`
hits every single call with every fault on every lane. Both print the table (pytest -s).
So far `make test` has the exchanges of an apply; `make faults` the files and rollback as well.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator

import faults
import ground
import lanes
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow(120)]

EVERY = os.environ.get("SBCCTL_FAULTS") == "every"
LANES = [name for name in lanes.names() if EVERY or name == "debian13"] or ["host"]
"""Disk and journal are the same on every lane: the floor of production is enough each time."""
PROOFS = [("apply", "exchange")]
if EVERY:
    PROOFS += [("apply", "file"), ("rollback", "file"), ("rollback", "exchange")]
ONE = ("kind: pbx,", 'kind: pbx, numbers: ["+4930"],')
OTHER = ("kind: pbx,", 'kind: pbx, numbers: ["+4940"],')


@pytest.fixture
def warm(lane: str, tmp_path_factory) -> Iterator[faults.Warm]:
    """A warm sbcctl on a machine that serves ONE."""
    if reason := lanes.missing(lane):
        pytest.skip(reason)
    with ground.Ground(tmp_path_factory.mktemp("x"), lanes.root(lane)) as made:
        made.write_site(ONE)
        made.apply()
        yield faults.Warm(made)


class Proof:
    """One command line, hit at every point; two states that it leads to and from in turn."""

    def __init__(self, warm: faults.Warm, verb: str, kind: str) -> None:
        self.warm = warm
        self.verb = verb
        self.kind = kind
        self.table: Counter[tuple[str, str, str]] = Counter()
        self.wrong: list[str] = []
        self.sites = [ONE, OTHER]
        self.names: list[str] = []

    def words(self) -> list[str]:
        """The command line that leads from where we are to the other state."""
        if self.verb == "rollback":
            return self.warm.words("rollback", self.names[1])
        return self.warm.words("apply")

    def begin(self) -> None:
        """Prepare for the next run: the other state is the goal, and must be made anew."""
        warm = self.warm
        if self.verb == "apply":
            warm.machine.write_site(self.sites[1])
            warm.keep_only_current()

    def turn(self) -> None:
        """Where we were to go is where we are."""
        self.sites.reverse()
        self.names.reverse()

    def run(self) -> None:
        """Hit every point with every fault."""
        warm = self.warm
        if self.verb == "rollback":
            self.names = [warm.current()]
            warm.machine.write_site(OTHER)
            assert warm.run(warm.words("apply"))[0] == 0
            self.names.insert(0, warm.current())
        self.begin()
        found = warm.trace(self.words())
        self.turn()
        found = found if EVERY else faults.once_each(found)
        self.hit_all(found)

    def hit_all(self, found: tuple[faults.Point, ...]) -> None:
        """Every fault at every point, one after the other."""
        for number, point in enumerate(point for point in found if point.kind == self.kind):
            kill, *errnos = point.faults()
            if not EVERY and errnos:
                errnos = [errnos[number % len(errnos)]]
            for fault in (kill, *errnos):
                old = self.warm.current()
                try:
                    self.hit(point, fault)
                except faults.Broken as broken:
                    self.wrong.append(f"{fault} at {point}: {broken}")
                    sys.stderr.write(f"{self.wrong[-1]}\n")
                    self.table[point.kind, fault, "BROKEN"] += 1
                    if self.warm.current() != old:
                        self.turn()

    def hit(self, point: faults.Point, fault: str) -> None:
        """One fault at one point, what it left, and the next run."""
        warm = self.warm
        self.begin()
        old, before = warm.current(), warm.snapshot()
        code, said, about = warm.hit(self.words(), point, fault)
        if about == "":
            self.table[point.kind, fault, "not reached"] += 1
        self.check(code, said, old)
        new = warm.current() != old
        self.table[point.kind, fault, "new" if new else "old"] += 1
        if not new and warm.snapshot() == before:
            # Byte for byte what the runs before began with.
            self.table[point.kind, fault, "untouched"] += 1
            return
        code, said, _ = warm.run(self.words())
        if code != 0 or warm.current() == old:
            raise faults.Broken(f"the next run ends with {code}: {said[-600:]}")
        self.table[point.kind, fault, "next ok"] += 1
        self.turn()

    def check(self, code: int, said: str, old: str) -> None:
        """What must hold after whatever it was."""
        warm = self.warm
        current = warm.current()
        warm.check_certificate()
        if code not in (0, 1, 6, -9):
            raise faults.Broken(f"exit code {code}: {said[-600:]}")
        if code == 0 and current == old:
            raise faults.Broken(f"said done and was not: {said[-600:]}")
        if code in (1, 6) and current != old:
            raise faults.Broken(f"failed, and yet the new one serves: {said[-600:]}")
        if code == 0 and (self.verb == "apply"):
            again, told, _ = warm.run(self.words())
            # Of a note that could not be written nothing is left but one more reload.
            steps = json.loads(told[told.index("{\n") :])["steps"] if again == 0 else []
            if again != 0 or any(not step["kind"].startswith("reload") for step in steps):
                raise faults.Broken(f"said done, and something was to do: {told[-600:]}")
        if not warm.answers():
            raise faults.Broken(f"Kamailio does not answer: {said[-600:]}")

    def tell(self) -> str:
        """The table."""
        rows = sorted({(kind, fault) for kind, fault, _ in self.table})
        heads = ("old", "new", "BROKEN", "untouched", "next ok", "not reached")
        lines = [f"{self.verb:<10}{'fault':<14}" + "".join(f"{head:>13}" for head in heads)]
        for kind, fault in rows:
            counts = "".join(f"{self.table[kind, fault, head]:>13}" for head in heads)
            lines.append(f"{kind:<10}{fault:<14}{counts}")
        return "\n".join(lines)


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize(("verb", "kind"), PROOFS)
def test_every_call_fails_once(warm, verb, kind):
    """Old or new, never between; no false success; the next run succeeds."""
    proof = Proof(warm, verb, kind)
    proof.run()
    told = proof.tell()
    sys.stdout.write(f"\n{told}\n")
    assert not proof.wrong, "\n".join([*proof.wrong, told])
    assert sum(proof.table[key] for key in proof.table if key[2] in ("old", "new")) > 40


@pytest.mark.parametrize("lane", LANES)
def test_after_the_mark_the_way_back_leads_to_what_was_marked(warm):
    """Killed with everything done but the journal: the next failure restores that, not older."""
    warm.machine.write_site(OTHER)
    words = warm.words("apply")
    found = warm.trace(words)
    warm.machine.write_site(ONE)
    first = warm.current()
    warm.keep_only_current()
    last = next(
        point
        for point in found
        if point.call.startswith("unlink") and "/journal.json" in point.about
    )
    code, _, about = warm.hit(words, last, faults.KILL)
    assert (code, about) == (-9, last.about)
    assert (warm.machine.state / "journal.json").exists()
    second = warm.current()
    assert second != first
    warm.machine.write_site(("192.0.2.20:5060", "192.0.2.20:5999"))
    code, said, _ = warm.run(words)
    assert code == 1, said
    assert warm.current() == second
