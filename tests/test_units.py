"""systemd understands the rendered units."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine"
)


MOST_EXPOSED = 3.0
"""What `systemd-analyze security` may say at most: 0 is locked up, 10 is open."""

LOW_PORTS = (
    ("fqdn: sbc.example.com ", "fqdn: sbc.example.com\n  port: 443 "),
    ("public_address:", "sip_port: 506\n  public_address:"),
)
VARIANTS = {
    "default": ((), ()),
    "low ports": ((), LOW_PORTS),
    "another run directory": (("--run-dir", "/srv/sbcctl/run"), ()),
}


@pytest.fixture(scope="module", params=VARIANTS)
def units(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the units, rendered in each way that makes a difference to them."""
    options, changes = VARIANTS[request.param]
    text = (CHECKOUT / "examples/01-one-pbx/site.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    out = tmp_path_factory.mktemp("units")
    subprocess.run(
        [
            *(sys.executable, "-m", "orchestrator.cli", *options),
            *("render", "-", "--out", out),
        ],
        cwd=CHECKOUT,
        input=text.encode(),
        check=True,
        timeout=60,
    )
    return out / "systemd"


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_systemd_analyze_finds_nothing_to_say_about_the_units(units: Path) -> None:
    paths = sorted(units.glob("*.service"))

    ran = analyze("verify", "--man=no", "--recursive-errors=no", *paths)

    assert [path.name for path in paths]
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


@pytest.mark.parametrize("name", ["kamailio", "rtpengine"])
def test_the_units_are_locked_up(units: Path, name: str) -> None:
    unit = units / f"sbcctl-{name}.service"

    ran = analyze("security", "--offline=true", "--no-pager", unit)

    found = re.search(rf"exposure level for {unit.name}: ([0-9.]+)", ran.stdout)
    assert found, ran.stdout + ran.stderr
    assert float(found[1]) <= MOST_EXPOSED, ran.stdout


RENEWAL = ("sbcctl-cert-renew.service", "sbcctl-cert-renew.timer")


def test_the_units_that_renew_are_understood_and_are_those_of_the_guide(tmp_path: Path) -> None:
    """As they are shipped; sbcctl lies where this checkout has it."""
    guide = (CHECKOUT / "docs/guide/certificates.md").read_text()
    program = Path(sys.executable).with_name("sbcctl")
    for name in RENEWAL:
        text = (CHECKOUT / "templates/systemd" / name).read_text()
        assert f"```ini\n{text}```" in guide
        (tmp_path / name).write_text(text.replace("ExecStart=sbcctl", f"ExecStart={program}"))

    ran = analyze("verify", "--man=no", *(tmp_path / name for name in RENEWAL))
    assert (ran.returncode, ran.stderr) == (0, "")
