"""The wheel is the whole product: installed alone, it renders every example."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
EXAMPLES = sorted(path.name for path in (CHECKOUT / "examples").iterdir())

pytestmark = pytest.mark.slow


def run(*argv: str | Path, cwd: Path) -> str:
    ran = subprocess.run(
        argv, cwd=cwd, env=os.environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def tracked(*folders: str) -> set[str]:
    """The files git would ship: tracked, or new and not ignored."""
    listing = run(
        "git", "ls-files", "-z", "-co", "--exclude-standard", "--", *folders, cwd=CHECKOUT
    )
    return {name for name in listing.split("\0") if name and (CHECKOUT / name).is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
        *("--wheel-dir", folder, CHECKOUT),
        cwd=folder,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`sbcctl` of a clean environment that holds the wheel and what it depends on."""
    home = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", home / "venv", cwd=home)
    run(home / "venv/bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=home)
    return home / "venv/bin/sbcctl"


def test_the_wheel_holds_every_template_and_every_example(wheel: Path) -> None:
    shipped = {
        name.removeprefix("orchestrator/")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith(("orchestrator/templates/", "orchestrator/examples/"))
    }

    assert tracked("templates", "examples") == shipped


def test_the_wheel_holds_every_module_and_nothing_of_the_workbench(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    modules = {name for name in names if name.endswith(".py")}

    assert tracked("orchestrator", "rtpengine_ng") <= set(names)
    assert all(name.startswith(("orchestrator/", "rtpengine_ng/")) for name in modules)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_installed_wheel_renders_the_example_from_another_directory(
    program: Path, tmp_path: Path, example: str
) -> None:
    site = tmp_path / "site.yaml"
    site.write_bytes((CHECKOUT / "examples" / example / "site.yaml").read_bytes())

    run(program, "render", site, "--out", tmp_path / "out", cwd=tmp_path)

    assert (tmp_path / "out/kamailio/kamailio.cfg").stat().st_size > 0
    assert (tmp_path / "out/rtpengine/rtpengine.conf").stat().st_size > 0


def test_the_installed_wheel_does_not_look_into_the_checkout(program: Path) -> None:
    where = run(
        program.with_name("python"),
        "-c",
        "import orchestrator, rtpengine_ng; print(orchestrator.__file__, rtpengine_ng.__file__)",
        cwd=program.parent,
    )

    assert str(CHECKOUT) not in where
