"""Calls notice nothing of an apply: bench/load.py in small, on the engines of Debian 13."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import lanes
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow(30), pytest.mark.alone]

BENCH = Path(__file__).parent.parent / "bench/load.py"
LANE = "debian13" if "debian13" in lanes.names() else "host"


@pytest.mark.skipif(bool(lanes.missing(LANE)), reason=lanes.missing(LANE))
def test_calls_notice_nothing_of_applies(tmp_path):
    """New calls connect, standing ones stay and talk while data is changed beside them."""
    raw = tmp_path / "raw.json"
    # Beside other tests RTPEngine waits for a processor itself.
    words = (sys.executable, str(BENCH), "--quick", "--gap", "500", "--root", LANE)

    ran = subprocess.run(
        [*words, "--json", str(raw)], capture_output=True, text=True, timeout=240, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(raw.read_text())
    assert found["standing"] == {"over": 55}
    counts = found["phases"]["applies"]["counts"]
    assert counts["connected"] == counts["dialled"] > 10
    assert counts["teams_dialled"] > 0
    assert found["audio"]["applies"]["received"] > 1000
    assert len(found["applies"]) == 5
