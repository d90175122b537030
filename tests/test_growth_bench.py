"""bench/growth.py in small: its counts are true, and what it draws is SVG."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import lanes
import pytest

BENCH = Path(__file__).parent.parent / "bench"
POLLS = 14
LANE = "debian13" if "debian13" in lanes.names() else "host"

sys.path.insert(0, str(BENCH / "many"))

import chart  # noqa: E402 - the bench is no package
import marked  # noqa: E402


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.skipif(bool(lanes.missing(LANE)), reason=lanes.missing(LANE))
def test_what_an_apply_asks_does_not_grow_with_the_site():
    """A no-change and a one-trunk apply ask as much of six trunks as of two; a first one more."""
    words = (sys.executable, str(BENCH / "growth.py"), "--sizes", "2", "6", "--rounds", "1")

    ran = subprocess.run(
        [*words, "--root", LANE], capture_output=True, text=True, timeout=240, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = [line.split("|")[1:-1] for line in ran.stdout.splitlines() if line.startswith("|")]
    asked = {(row[0].strip(), row[1].strip()): row[6].strip() for row in rows[2:]}
    assert asked["no change", "2"] == asked["no change", "6"] != "0"
    # How often the answers are collected depends on how busy the machine is.
    assert abs(int(asked["one trunk", "2"]) - int(asked["one trunk", "6"])) < POLLS
    assert 4 - POLLS < int(asked["first", "6"]) - int(asked["first", "2"]) < 4 + POLLS


def test_a_plot_is_svg_with_a_line_for_each_kind():
    """Names are escaped, and every point is on the paper."""
    drawn = chart.draw({"time": {"a <b>": [(10, 0.5), (1000, 700)], "c": [(10, 3), (1000, 3)]}})

    root = ET.fromstring(drawn)
    lines = [element for element in root.iter() if element.tag.endswith("polyline")]
    assert len(lines) == 2
    for line in lines:
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 < x < chart.WIDTH
            assert 0 < y < chart.HEIGHT
    assert "a <b>" in "".join(root.itertext())


def test_the_fourth_panel_begins_a_second_row():
    """Each has its own place, and the paper is large enough for all of them."""
    drawn = chart.draw({f"panel {n}": {"a": [(10, 1), (100, 2)]} for n in range(4)})

    root = ET.fromstring(drawn)
    places = [each.get("transform") for each in root if each.get("transform")]
    assert len(set(places)) == 4
    assert places[3] == f"translate(0 {chart.HEIGHT})"
    assert int(root.get("width")) == 3 * chart.WIDTH
    assert int(root.get("height")) == 2 * chart.HEIGHT


def test_figures_are_written_between_their_marks_and_nowhere_else(tmp_path):
    """Twice gives what once gives; a name without a place is an error."""
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- x -->\nold\n<!-- /x -->\nb <!-- y -->\n<!-- /y -->\n")

    marked.put("x", "new", readme)
    marked.put("x", "new", readme)

    assert readme.read_text() == (
        "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb <!-- y -->\n<!-- /y -->\n"
    )
    with pytest.raises(LookupError, match="no place for z"):
        marked.put("z", "new", readme)


def test_every_bench_that_writes_has_a_place_for_it():
    """Or `make bench` would stop after an hour."""
    readme = marked.README.read_text()

    named = re.findall(
        r'marked\.put\("(\w+)"', "".join(each.read_text() for each in BENCH.glob("*.py"))
    )
    assert set(named) == {"growth", "hosting", "ng", "rate", "tenants"}
    assert all(f"<!-- {name} -->" in readme and f"<!-- /{name} -->" in readme for name in named)
