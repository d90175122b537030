"""A command line that leads from one state to another, and everything that may end it.

1. **Killed.** A process that is killed leaves what lies on the disk at that moment. The command
   line is stopped at each of its calls, every state that a kill could leave is kept, and each is
   put back and judged: it is whole, calls are served, and the next run succeeds (states.py).
2. **Refused.** Every file operation fails once with ENOSPC, EDQUOT, EROFS or EIO.
3. **Unanswered.** Every exchange with Kamailio and RTPEngine fails: nobody takes the question, or
   the answer is lost though it was heeded.

What is hit are the system calls of the real program, by strace (tests/faults.py). `make test`
takes errnos and ways to fail in turn; `make faults` all of them at every call, on every lane.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator

import faults
import ground
import lanes
import pytest
import states

EVERY = os.environ.get("SBCCTL_FAULTS") == "every"
LANES = lanes.floor()
"""Disk and journal are the same on every lane: the floor of production is enough each time."""
ONE = ("kind: pbx,", 'kind: pbx, numbers: ["+4930"],')
OTHER = ("kind: pbx,", 'kind: pbx, numbers: ["+4940"],')
_FILE = re.compile(r"generations/NAME/[^/>\" ]+/[^>\" ]+")
_TODAY = int(time.time() // 86400)
_EACH = 8
"""Of states that hold an unfinished folder `make test` judges one in so many."""
TABLE = "route"
"""The table that differs between the two."""


@pytest.fixture
def warm(lane: str, tmp_path_factory) -> Iterator[faults.Warm]:
    """A warm sbcctl on a machine that serves ONE; a test file takes it as its own."""
    if reason := lanes.missing(lane):
        pytest.skip(reason)
    with ground.Ground(tmp_path_factory.mktemp("x"), lanes.root(lane)) as made:
        made.write_site(ONE)
        made.apply()
        yield faults.Warm(made)


class Way:
    """One command line that leads from one state to the other, and back when it is turned."""

    def __init__(self, warm: faults.Warm, verb: str) -> None:
        self.warm = warm
        self.verb = verb
        self.sites = [ONE, OTHER]
        first = warm.current()
        warm.machine.write_site(OTHER)
        self.go("apply")
        self.names = [first, warm.current()]
        warm.machine.write_site(ONE)
        self.go("apply")
        self.begin()

    def go(self, verb: str, *more: str) -> None:
        """Carry out a command line that must succeed."""
        code, said, _ = self.warm.run(self.warm.words(verb, *more))
        assert code == 0, said

    def words(self) -> list[str]:
        """The command line that leads from where we are to the other state."""
        if self.verb == "rollback":
            return self.warm.words("rollback", self.names[1])
        return self.warm.words("apply")

    def begin(self) -> None:
        """The other state is the goal; an apply must make it anew."""
        if self.verb == "apply":
            self.warm.machine.write_site(self.sites[1])
            self.warm.keep_only_current()

    def turn(self) -> None:
        """Where we were to go is where we are."""
        self.sites.reverse()
        self.names.reverse()

    def place(self) -> states.Place:
        """Where we are, for a state's key."""
        machine = self.warm.machine
        return states.Place(machine.state, machine.run_dir, *self.names, table=TABLE)

    def check(self, code: int, said: str) -> None:
        """What must hold after whatever it was."""
        warm, (old, new) = self.warm, self.names
        current = warm.current()
        warm.check_certificate()
        if current not in (old, new):
            raise faults.Broken(f"{current} is current")
        if code not in (0, 1, 6, -9):
            raise faults.Broken(f"exit code {code}: {said[-600:]}")
        if code == 0 and current == old:
            raise faults.Broken(f"said done and was not: {said[-600:]}")
        # Of the result itself that could not be printed is said what serves.
        if code in (1, 6) and current != old and f"{new} serves, and that could not" not in said:
            raise faults.Broken(f"failed, and yet the new one serves: {said[-600:]}")
        if not warm.answers():
            raise faults.Broken(f"Kamailio does not answer: {said[-600:]}")

    def check_done(self) -> None:
        """Another run finds nothing to do, but for a table whose note could not be written."""
        if self.verb != "apply":
            return
        again, told, _ = self.warm.run(self.words())
        steps = json.loads(told[told.index("{\n") :])["steps"] if again == 0 else []
        if again != 0 or any(not step["kind"].startswith("reload") for step in steps):
            raise faults.Broken(f"said done, and something was to do: {told[-600:]}")

    def go_on(self) -> None:
        """The next run reaches the goal."""
        code, said, _ = self.warm.run(self.words())
        if code != 0 or self.warm.current() != self.names[1]:
            raise faults.Broken(f"the next run ends with {code}: {said[-600:]}")


class Killed:
    """Every state that a kill can leave, put back and judged."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.folder = way.warm.machine.folder / "kept"
        self.later = 0
        self.wrong: list[str] = []

    def run(self) -> str:
        """Judge all of them; what was seen, in a sentence."""
        way, warm = self.way, self.way.warm
        place = way.place()
        place.keep(self.folder / "before")
        at_first = place.held()
        held = {at_first: "before"}
        told = warm.stop_at_each(way.words(), place, self.folder / "at")
        if "stuck" in told:
            # Seen once in some fifty runs, on a busy machine.
            sys.stderr.write(f"once more, because of strace: {told['stuck']}\n")
            self.bring(place, "before", at_first)
            shutil.rmtree(self.folder / "before")
            place.keep(self.folder / "before")  # as new as what comes now
            told = warm.stop_at_each(way.words(), place, self.folder / "again")
        assert told.get("code") == 0, told
        place.keep(self.folder / "after")
        held[place.held()] = "after"
        assert len(held) == 2
        for state in told["states"] if EVERY else self.told_apart(place, told["states"]):
            try:
                self.judge(place, state, held)
            except faults.Broken as broken:
                self.wrong.append(f"{way.verb}, state {state}: {broken}")
        count = Counter(held[state["held"]] for state in told["states"])
        return f"{way.verb}: {told['stops']} stops, states by what Kamailio holds: {dict(count)}"

    def told_apart(self, place: states.Place, found: list[dict]) -> list[dict]:
        """All states; of those that differ in how much of an unfinished folder is there, some.

        What has no manifest is removed before it is written anew, however much of it there is.
        """
        begun = [state for state in found if self.unfinished(place, state)]
        kept = [*begun[::_EACH], *begun[-1:]]
        return [state for state in found if state in kept or state not in begun]

    def unfinished(self, place: states.Place, state: dict) -> bool:
        """Whether the new generation was begun and is not there yet."""
        folder = place.state.parent / state["folder"] / "state/generations" / place.new
        return folder.exists() and not (folder / "manifest.json").exists()

    def judge(self, place: states.Place, state: dict, held: dict[str, str]) -> None:
        """It is whole, calls are served, the next run succeeds."""
        self.bring(place, held[state["held"]], state["held"])
        self.put_back(place, state["folder"])
        assert (place.disk(), place.held()) == (state["disk"], state["held"])
        self.way.check(-9, "")
        self.way.go_on()
        if held[state["held"]] == "after":
            self.way.check_done()

    def bring(self, place: states.Place, moment: str, held: str) -> None:
        """Let Kamailio hold what it held then."""
        self.put_back(place, str(self.folder / moment))
        assert place.ask("htable.reload", TABLE)
        assert place.held() == held

    def put_back(self, place: states.Place, folder: str) -> None:
        """Put a state back, newer than all that was there before."""
        self.later += 100
        place.put_back(place.state.parent / folder, self.later)


class Proof:
    """One command line, hit at every point of a kind."""

    def __init__(self, way: Way, kind: str) -> None:
        self.way = way
        self.kind = kind
        self.table: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        """Hit every point with its faults."""
        found = self.way.warm.trace(self.way.words())
        self.way.turn()
        points = [point for point in found if point.kind == self.kind]
        for number, point in enumerate(points if EVERY else self.in_turn(points)):
            errnos = point.errnos()
            for errno in errnos if EVERY else (errnos[number % len(errnos)],):
                self.hit_and_tell(point, errno)

    def in_turn(self, points: list[faults.Point]) -> list[faults.Point]:
        """Of an exchange the question or the answer; of a generation's file one call.

        And of these each day another third of the files' and half of the exchanges.
        """
        if self.kind == "file":
            return _one_of_each_file(points)[_TODAY % 3 :: 3]
        # Every other day of a half the other way to fail: four days take both of all.
        kept, lost = [], _TODAY // 2 % 2 == 1
        for question, answer in itertools.pairwise(points):
            if question.call in faults.QUESTIONS and answer.call in faults.ANSWERS:
                kept.append(answer if lost else question)
                lost = not lost
        return kept[_TODAY % 2 :: 2]

    def hit_and_tell(self, point: faults.Point, errno: str) -> None:
        """One fault at one point; what is broken is told at once."""
        try:
            self.hit(point, errno)
        except faults.Broken as broken:
            self.wrong.append(f"{errno} at {point}: {broken}")
            sys.stderr.write(f"{self.wrong[-1]}\n")
            self.table[errno, "BROKEN"] += 1
            if self.way.warm.current() == self.way.names[1]:
                self.way.turn()

    def hit(self, point: faults.Point, errno: str) -> None:
        """One fault at one point, what it left, and the next run."""
        way, warm = self.way, self.way.warm
        way.begin()
        place = way.place()
        before = place.disk(), place.held()
        code, said, about = warm.hit(way.words(), point, errno)
        self.table[errno, "faults" if about else "not reached"] += 1
        way.check(code, said)
        if code == 0:
            way.check_done()
        new = warm.current() == way.names[1]
        self.table[errno, "new" if new else "old"] += 1
        if not new and (place.disk(), place.held()) == before:
            # What the runs before began with.
            self.table[errno, "untouched"] += 1
            return
        if not new or code != 0:
            way.go_on()
            self.table[errno, "next ok"] += 1
        way.turn()

    def tell(self) -> str:
        """The table."""
        heads = ("faults", "old", "new", "BROKEN", "untouched", "next ok", "not reached")
        lines = [f"{self.way.verb:<10}{self.kind:<14}" + "".join(f"{head:>13}" for head in heads)]
        for errno in sorted({errno for errno, _ in self.table}):
            counts = "".join(f"{self.table[errno, head]:>13}" for head in heads)
            lines.append(f"{'':<10}{errno:<14}{counts}")
        return "\n".join(lines)


def _one_of_each_file(points: list[faults.Point]) -> list[faults.Point]:
    """Of the calls about one file in a generation the first, second and so on in turn."""
    files: dict[str, list[faults.Point]] = {}
    kept = set()
    for point in points:
        found = _FILE.search(point.about)
        if found is None:
            kept.add(point)
        else:
            files.setdefault(found[0], []).append(point)
    kept |= {calls[number % len(calls)] for number, calls in enumerate(files.values())}
    return [point for point in points if point in kept]


def prove(warm: faults.Warm, verb: str, kind: str) -> None:
    """Hit every point of a kind; nothing may be broken, and the table is printed."""
    proof = Proof(Way(warm, verb), kind)
    proof.run()
    told = proof.tell()
    sys.stdout.write(f"\n{told}\n")
    assert not proof.wrong, "\n".join([*proof.wrong, told])
    # An apply asks little, and half of it is hit each day.
    least = 6 if kind == "exchange" else 15
    assert sum(proof.table[key] for key in proof.table if key[1] == "faults") > least
