"""systemd understands the rendered units."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine"
)


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("units")
    subprocess.run(
        [
            *(sys.executable, "-m", "orchestrator.cli", "render"),
            *(CHECKOUT / "examples/01-one-pbx/site.yaml", "--out", out),
        ],
        cwd=CHECKOUT,
        check=True,
        timeout=60,
    )
    return out / "systemd"


def test_systemd_analyze_finds_nothing_to_say_about_the_units(units: Path) -> None:
    paths = sorted(units.glob("*.service"))

    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *paths],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert [path.name for path in paths]
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
