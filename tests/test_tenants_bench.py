"""Calls notice nothing of tenants that come and go: bench/tenants.py in small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import lanes
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow(25)]

BENCH = Path(__file__).parent.parent / "bench/tenants.py"
LANE = "debian13" if "debian13" in lanes.names() else "host"


@pytest.mark.skipif(bool(lanes.missing(LANE)), reason=lanes.missing(LANE))
def test_calls_notice_nothing_of_a_tenant_that_comes_or_goes(tmp_path):
    """While one is added, changed and removed; and both Kamailios take calls."""
    raw, drawn = tmp_path / "raw.json", tmp_path / "drawn.svg"
    words = (sys.executable, str(BENCH), "--quick", "--root", LANE, "--json", str(raw))

    ran = subprocess.run(
        [*words, "--plot", str(drawn)], capture_output=True, text=True, timeout=240, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(raw.read_text())
    assert {each["variant"] for each in found["turns"] if each["calls"]} == {"one", "100"}
    assert {each["source"] for each in found["turns"]} == {"teams", "office"}
    assert all(each["microseconds"] > 100 for each in found["turns"])
    assert {len(seconds) for seconds in found["change"]["seconds"].values()} == {1}
    assert found["change"]["phases"]["applies"]["counts"]["connected"] > 20
    assert ET.fromstring(drawn.read_text()).tag.endswith("svg")
