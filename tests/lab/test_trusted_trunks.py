"""Whom a trunk over TLS is taken for, on the engines of both generations."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path

import lanes
import pytest
import test_world

from orchestrator.lab import preflight

PROGRAM = Path(__file__).with_name("trusted.py")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.engine,
    pytest.mark.skipif(
        bool(preflight.find_missing(None)), reason="the lab's programs are not installed"
    ),
]


@pytest.fixture(scope="module")
def seen(lane):
    """What the program saw on one set of engines."""
    root = lanes.root(lane)
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), *((str(root),) if root else ())],
        env=test_world.environment(secrets.token_hex(16)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


@pytest.mark.parametrize("trust", ["right", "no name"])
def test_the_pbx_is_called(seen, trust):
    """Its CA vouches for it, and its name is the right one or nobody asks for one."""
    assert seen[trust]["answer"] == 486


@pytest.mark.parametrize("trust", ["other name", "other ca"])
def test_somebody_else_is_not_called(seen, trust):
    """A certificate for another name, or of a CA that is not trusted, is no PBX of ours."""
    assert seen[trust]["answer"] == 503


def test_the_operator_hears_of_it(seen):
    """Its answers are thrown away, so it counts as silent."""
    (warning,) = seen["other name"]["warnings"]
    assert "192.0.2.22:5061" in warning
