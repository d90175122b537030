"""Every story of the lab goes as told, on the engines of both generations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import lanes
import pytest

from orchestrator.lab import preflight, scenarios

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.lab,
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(preflight.find_missing(None)), reason="the lab's programs are not installed"
    ),
]


def test_every_story_goes_as_told(lane: str, tmp_path: Path) -> None:
    """What docs/conformance.md says is so with this checkout; a story that fails, fails here."""
    root = lanes.root(lane)
    words = ["--output", "json", *(("--engine-root", str(root)) if root else ())]
    words += ["lab", "run", "--report", str(tmp_path / "report.html")]
    ran = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *words],
        cwd=CHECKOUT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    told = json.loads(ran.stdout)
    assert told.get("kind") == "lab-run", ran.stderr[-2000:]
    bad = {call["name"]: call["sentence"] for call in told["calls"] if not call["ok"]}
    assert bad == {}
    assert {call["name"] for call in told["calls"]} == {s.name for s in scenarios.SCENARIOS}
    assert ran.returncode == 0
