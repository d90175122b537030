"""What an operator sees when a change fails, whole: the sample that apply is measured by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import ground
import lanes
import pytest

pytestmark = [pytest.mark.engine]

SEEN = Path(__file__).parent / "samples/failed-apply.txt"


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    """A machine that serves."""
    with ground.Ground(tmp_path_factory.mktemp("s"), lanes.root(lane)) as made:
        made.apply()
        yield made


def still(text: str, folder: str) -> str:
    """Without times, names and numbers that are others each time."""
    text = text.replace(f"{folder}/", "")
    text = re.sub(r"^\d{4}-\d\d-\d\dT[\d:]+Z  ", "", text, flags=re.MULTILINE)
    text = re.sub(r"  +\d+\.\ds  (ok|FAIL)", lambda match: f"    {match[1]}", text)
    text = re.sub(r"serial [0-9a-f]+", "serial SERIAL", text)
    return re.sub(r"\b[0-9a-f]{12}\b", "NAME", text)


def spaced(text: str) -> list[list[str]]:
    """Lines as their columns: how wide they are is not what counts."""
    return [re.split(r"  +", line.strip()) for line in text.splitlines()]


def test_a_change_that_fails_says_what_where_and_what_next(machine):
    """Every step, which one failed, what serves now, the line of site.yaml, and the way on."""
    machine.write_site(("sip:192.0.2.20:5060", "sip:192.0.2.20:5999"))
    ran = machine.run(*machine.words("apply", str(machine.folder / "site.yaml")), code=1)

    assert ran.stdout == ""
    assert spaced(still(ran.stderr, str(machine.folder))) == spaced(SEEN.read_text())
