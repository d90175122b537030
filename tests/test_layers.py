"""The fences hold: each deliberate violation breaks the contract that is meant to catch it.

A contract that never broke may be one that checks nothing, so every fence of pyproject.toml is
climbed once, in a copy of the tree.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent

FLOORS = "The house has floors; imports go down only"
ENGINES = "Engines do not know each other"
NG_FLOORS = "rtpengine_ng has floors too"
NG_ALONE = "rtpengine_ng knows nothing of the product"
PURE = "Deciding touches nothing and reads no clock"
DOORS = "One door to each outside thing"

VIOLATIONS = {
    "plan-to-host": ("orchestrator/plan.py", "from orchestrator.host import process", FLOORS),
    "clock-in-rules": ("orchestrator/site/rules.py", "import time", PURE),
    "socket-in-messages": ("rtpengine_ng/messages/keys.py", "import socket", PURE),
    "engine-to-engine": (
        "orchestrator/engines/certbot.py",
        "from orchestrator.engines import kamailio",
        ENGINES,
    ),
    "door-to-engine": (
        "orchestrator/engines/kamailio_rpc.py",
        "from orchestrator.engines import kamailio",
        ENGINES,
    ),
    "engine-to-certificate": (
        "orchestrator/engines/certbot.py",
        "from orchestrator.engines import certificate",
        ENGINES,
    ),
    "disk-in-wanted": ("orchestrator/render/wanted.py", "import pathlib", PURE),
    "subprocess-in-an-engine": ("orchestrator/engines/kamailio.py", "import subprocess", DOORS),
    "yaml-in-a-verb": ("orchestrator/cli/validate.py", "import yaml", DOORS),
    "bencode-to-messages": (
        "rtpengine_ng/bencode.py",
        "from rtpengine_ng import messages",
        NG_FLOORS,
    ),
    "ng-to-product": ("rtpengine_ng/errors.py", "from orchestrator import errors", NG_ALONE),
    "errors-to-console": ("orchestrator/errors.py", "from orchestrator import console", FLOORS),
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    for package in ("orchestrator", "rtpengine_ng"):
        shutil.copytree(
            CHECKOUT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def lint_imports(house: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on *house*; its own folder comes first on the module path."""
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-logo", "--no-cache"],
        cwd=house,
        env={"PYTHONPATH": str(house), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_house_as_it_is_breaks_no_contract(house: Path) -> None:
    ran = lint_imports(house)

    assert ran.returncode == 0, ran.stdout
    assert "6 kept, 0 broken" in ran.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"), VIOLATIONS.values(), ids=VIOLATIONS.keys()
)
def test_a_deliberate_violation_breaks_its_contract(
    house: Path, module: str, line: str, contract: str
) -> None:
    path = house / module
    path.write_text(f"{path.read_text()}\n{line}\n")

    ran = lint_imports(house)

    assert ran.returncode == 1
    assert f"{contract} BROKEN" in ran.stdout


def test_a_module_nobody_placed_does_not_merge(house: Path) -> None:
    (house / "orchestrator" / "utils.py").write_text('"""Anything."""\n')

    ran = lint_imports(house)

    assert ran.returncode == 1
    assert "orchestrator.utils" in ran.stdout
