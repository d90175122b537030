"""bench/rate.py in small: it finds what is possible, and its calls go through both proxies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import lanes
import pytest

BENCH = Path(__file__).parent.parent / "bench"
LANE = "debian13" if "debian13" in lanes.names() else "host"

sys.path.insert(0, str(BENCH / "rate"))

import searching  # noqa: E402 - the bench is no package
import wires  # noqa: E402


@pytest.mark.parametrize("possible", [60, 430, 1000, 2900])
def test_the_search_finds_what_is_possible(possible):
    """Whether the guess was too low or too high; what is good lies below what is not."""
    steps = []

    def share_failed(rate: float) -> float:
        steps.append({"rate": rate, "failed": 0.0 if rate <= possible else 0.3})
        return steps[-1]["failed"]

    tried = searching.search(share_failed, 500, 9)

    assert tried == [step["rate"] for step in steps]
    good, bad = searching.bounds(steps)
    assert good["rate"] <= possible < bad["rate"]
    assert bad["rate"] - good["rate"] < possible / 5


def test_a_good_rate_above_a_bad_one_counts_for_nothing():
    """What went well by chance is no figure."""
    steps = [{"rate": rate, "failed": failed} for rate, failed in ((100, 0), (200, 0.5), (300, 0))]

    assert searching.bounds(steps) == (steps[0], steps[1])
    assert searching.bounds(steps[:1]) == (steps[0], None)


def test_messages_are_taken_from_a_stream_wherever_it_was_cut():
    """A body belongs to its message, and what is not whole waits."""
    first = b"SIP/2.0 200 OK\r\nContent-Length: 4\r\n\r\nv=0\n"
    second = b"BYE sip:a SIP/2.0\r\ncontent-length: 0\r\n\r\n"
    stream = first + second + first

    for cut in range(len(stream) + 1):
        found, held = wires.whole(stream[:cut])
        more, held = wires.whole(held + stream[cut:])
        assert [*found, *more] == [first, second, first]
        assert held == b""


@pytest.mark.engine
@pytest.mark.slow(15)
@pytest.mark.skipif(bool(lanes.missing(LANE)), reason=lanes.missing(LANE))
def test_calls_go_through_the_smallest_proxy_and_through_ours(tmp_path):
    """Both ways, ours with RTPEngine; what a call costs is known of each."""
    raw = tmp_path / "raw.json"
    words = (sys.executable, str(BENCH / "rate.py"), "--quick", "--root", LANE)
    only = ("--only", "bare", "one+media", "--json", str(raw))

    ran = subprocess.run([*words, *only], capture_output=True, text=True, timeout=120, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(raw.read_text())["contenders"]
    assert set(found) == {"bare", "one+media"}
    for name, each in found.items():
        assert each["slow"]["dialled"] == 100
        assert each["slow"]["failed"] == 0
        assert each["slow"]["kamailio"] > 50
        assert (each["slow"]["rtpengine"] > 50) == (name == "one+media")
        assert len(each["steps"]) == 1
