"""bench/ng.py in small: every answer comes, and no call is left over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import lanes
import pytest

import rtpengine_ng as ng

BENCH = Path(__file__).parent.parent / "bench"
LANE = "debian13" if "debian13" in lanes.names() else "host"

sys.path.insert(0, str(BENCH / "ng"))

import flood  # noqa: E402 - the bench is no package


def test_no_cookie_is_used_twice_and_no_delete_comes_before_its_offer_is_answered():
    """RTPEngine answers a known cookie without doing anything, which would look fast."""
    datagrams = flood.questions("offer", 40, 5, "name")

    assert len(datagrams) == 40
    assert len({each.partition(b" ")[0] for each in datagrams}) == 40
    asked = [ng.read_request(each.partition(b" ")[2]) for each in datagrams]
    for turn in range(0, 40, 10):
        offers, deletes = asked[turn : turn + 5], asked[turn + 5 : turn + 10]
        assert {type(each) for each in offers} == {ng.Offer}
        assert {type(each) for each in deletes} == {ng.Delete}
        assert [each.call_id for each in offers] == [each.call_id for each in deletes]


@pytest.mark.engine
@pytest.mark.skipif(bool(lanes.missing(LANE)), reason=lanes.missing(LANE))
def test_every_question_of_the_bench_is_answered(tmp_path):
    """By the flood, a bare socket and both clients; the ceiling costs the daemon the most time."""
    raw = tmp_path / "raw.json"
    words = (sys.executable, str(BENCH / "ng.py"), "--quick", "--root", LANE, "--json", str(raw))

    ran = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    ((engine, kinds),) = json.loads(raw.read_text()).items()
    assert engine.startswith("RTPEngine ")
    for rows in kinds.values():
        ceiling, plain, client, *pipelined = (turns for turns in rows.values())
        assert len(pipelined) == 2
        for (turn,) in (ceiling, plain, client, *pipelined):
            assert turn["rate"] > 0
            assert turn["client"] > 0
            assert turn["daemon"] > 0
    # A known cookie is answered by what was said before: a fraction of what an offer costs.
    (offered,), (pinged,) = kinds["offer"]["bare socket"], kinds["ping"]["bare socket"]
    assert offered["daemon"] > 4 * pinged["daemon"]
