"""Two applies at once, a hundred times: one wins, the other leaves with 5 and changes nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import ground
import lanes
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow(100)]

ROUNDS = 100
LANES = [name for name in lanes.names() if name == "debian13"] or ["host"]
"""The lock is the same on every lane."""

# Two children of one warm process begin together; the second site of a round is never applied.
PAIRS = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from orchestrator import apply, cli, observe
from orchestrator.cli import apply as verb, placing, plan_file
from orchestrator.site import load

words, sites, rounds = json.loads(sys.argv[1]), sys.argv[2:4], int(sys.argv[4])

def begin(site, gate):
    told, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(gate, 1)
        with redirect_stderr(io.StringIO()) as err, redirect_stdout(io.StringIO()):
            code = cli.run([*words, "apply", site])
        os.write(said, json.dumps([code, err.getvalue()]).encode())
        os._exit(0)
    os.close(said)
    return pid, told

for number in range(rounds):
    gate, opener = os.pipe()
    pairs = [begin(sites[number % 2], gate) for _ in range(2)]
    os.write(opener, b"go")
    answers = []
    for pid, told in pairs:
        with os.fdopen(told, "rb") as pipe:
            answers.append(json.loads(pipe.read()))
        os.waitpid(pid, 0)
    os.close(gate), os.close(opener)
    current = os.readlink(f"{words[1]}/current")
    print(json.dumps([answers, current]), flush=True)
"""


@pytest.fixture(params=LANES)
def machine(request, tmp_path_factory) -> Iterator[ground.Ground]:
    if reason := lanes.missing(request.param):
        pytest.skip(reason)
    with ground.Ground(tmp_path_factory.mktemp("l"), lanes.root(request.param)) as made:
        yield made


def test_one_wins_and_the_other_leaves(machine):
    names = []
    for number in "12":
        machine.write_site(("kind: pbx,", f'kind: pbx, numbers: ["+49{number}"],'))
        (machine.folder / "site.yaml").rename(machine.folder / f"site{number}.yaml")
    sites = [str(machine.folder / f"site{number}.yaml") for number in "12"]
    for site in (sites[0], sites[1]):
        machine.run(*machine.words("apply", site))
        names.append((machine.state / "current").readlink())
    words = machine.words()
    places = json.dumps(words[words.index("--state-dir") :])
    program = [sys.executable, "-c", PAIRS, places, *sites, str(ROUNDS)]
    running = machine.start(*program)
    assert running.stdout
    lines = running.stdout.read().decode().splitlines()
    assert len(lines) == ROUNDS, lines[-1:]
    for number, line in enumerate(lines):
        answers, current = json.loads(line)
        assert sorted(code for code, _ in answers) == [0, 5], answers
        (left,) = [said for code, said in answers if code == 5]
        assert "another sbcctl works on" in left
        assert current == str(names[number % 2])
    generations = {path.name for path in (machine.state / "generations").iterdir()}
    assert generations == {name.name for name in names}
