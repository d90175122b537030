"""bench/hosting.py in small: its counts are true, and what it draws is SVG."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import lanes
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow(30)]

BENCH = Path(__file__).parent.parent / "bench/hosting.py"
LANE = "debian13" if "debian13" in lanes.names() else "host"


@pytest.mark.skipif(bool(lanes.missing(LANE)), reason=lanes.missing(LANE))
def test_figures_of_small_sites_are_true(tmp_path):
    """A new tenant asks for its rows and no more, and a restart answers calls."""
    raw, drawn = tmp_path / "raw.json", tmp_path / "drawn.svg"
    words = (sys.executable, str(BENCH), "--quick", "--root", LANE)

    ran = subprocess.run(
        [*words, "--json", str(raw), "--plot", str(drawn)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(raw.read_text())
    ranges, singles = found["ranges 10"], found["singles 30"]
    assert "start-kamailio" in ranges["first"]["steps"]
    assert ranges["one added"]["steps"] == ["commit", "reload-table", "reload-table"]
    assert ranges["one added"]["rpc"] <= 20
    assert "rpc" not in ranges["validate"]
    # A hundred numbers one by one are 99 rows more than a range.
    assert singles["one added"]["rpc"] - ranges["one added"]["rpc"] > 80
    assert singles["all changed"]["steps"] == ["commit", "reload-table"]
    assert "ranges, 10 to 10 tenants" in ran.stdout
    assert 0 < singles["restart"]["seconds"] < 60
    assert ET.fromstring(drawn.read_text()).tag.endswith("svg")
