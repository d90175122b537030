"""Every example renders to the files that stand beside this test, byte for byte."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from orchestrator.render import generation, views
from orchestrator.site import load

HERE = Path(__file__).parent
EXAMPLES = sorted((HERE.parents[1] / "examples").iterdir())
ENGINES = {"debian12": views.DEBIAN_12, "debian13": views.DEBIAN_13}
SECRETS = views.Secrets(
    contact_key="0" * 64,
    phones=dict.fromkeys(("reception", "desk", "home"), "golden"),
    trunks={"world": "golden"},
    registrations={"world": "golden"},
)


def rendered(example: Path, engines: str) -> generation.Generation:
    site, _ = load.read_site(str(example / "site.yaml"))
    return generation.render_site(
        site,
        facts=ENGINES[engines],
        paths=views.Paths(state="/var/lib/sbcctl", run="/run/sbcctl"),
        secrets=SECRETS,
    )


@pytest.mark.parametrize("engines", ENGINES)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_renders_to_its_golden_files(example, engines):
    """A changed byte in a rendered file is seen and reviewed (`make golden` writes anew)."""
    wanted = HERE / example.name / engines
    result = rendered(example, engines)
    if os.environ.get("SBCCTL_GOLDEN") == "write":
        shutil.rmtree(wanted, ignore_errors=True)
        for file in result.files:
            (wanted / file.path).parent.mkdir(parents=True, exist_ok=True)
            (wanted / file.path).write_text(file.text)

    kept = {
        str(path.relative_to(wanted)): path.read_text()
        for path in sorted(wanted.rglob("*"))
        if path.is_file()
    }

    assert kept == {file.path: file.text for file in result.files}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_rendering_twice_gives_the_same_digest(example):
    """The same site, facts and secrets give the same bytes."""
    assert rendered(example, "debian13").digest == rendered(example, "debian13").digest
