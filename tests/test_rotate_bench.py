"""Calls notice nothing of a new certificate: bench/rotate.py in small, on Debian 13's engines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import lanes
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow(20)]

BENCH = Path(__file__).parent.parent / "bench/rotate.py"
LANE = "debian13" if "debian13" in lanes.names() else "host"


def test_calls_notice_nothing_of_new_certificates(tmp_path):
    """TLS-7: each connection changes to the new one, and none ends under a call that rings."""
    if reason := lanes.missing(LANE):
        pytest.skip(reason)
    raw = tmp_path / "raw.json"
    # How soon is for a machine that does nothing else.
    words = (sys.executable, str(BENCH), "--quick", "--late", "60", "--root", LANE)

    ran = subprocess.run(
        [*words, "--json", str(raw)], capture_output=True, text=True, timeout=240, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(raw.read_text())
    serials, connections = found["serials"], found["connections"]
    assert len(set(serials)) == 3
    ended = [each for each in connections if each["serial"] == serials[0] and each["ended"]]
    assert {each["role"] for each in ended} == {"dialled", "taken"}
    assert {each["serial"] for each in connections if not each["ended"]} <= {serials[-1]}
    counts = found["phases"]["applies"]["counts"]
    assert counts["connected"] == counts["dialled"] > 5
    assert counts["teams_dialled"] > 0
    assert counts["office_dialled"] > 0
    assert "answers_moved" not in counts
