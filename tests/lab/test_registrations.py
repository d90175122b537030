"""Registrations at a carrier through several applies, on the engines of both generations."""

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

PROGRAM = Path(__file__).with_name("registered.py")

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
        timeout=90,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


def test_a_changed_registration_is_read_again_while_calls_run(seen):
    """Nothing is restarted, and the carrier knows the new one."""
    assert seen["first"] == 300
    assert seen["shorter"] == ["commit", "reload-registrations"]
    assert seen["renewed"] == 240


def test_a_registration_that_somebody_removed_is_put_back(seen):
    """What Kamailio holds is compared with what was written, in every run."""
    assert seen["restored"] == ["reload-registrations"]


def test_a_carrier_that_does_not_register_us_is_a_warning(seen):
    """The rest of the site serves, and the operator is told."""
    assert seen["refused"] == ["the carrier has not taken the registration of company"]


def test_a_registration_that_leaves_site_yaml_is_taken_back(seen):
    """The carrier must not send calls to where nobody expects them."""
    assert "restart-kamailio" in seen["gone"]
    assert seen["binding"] is False


def test_a_registration_is_renewed_before_it_runs_out(seen):
    """The carrier decides how long; one Call-ID and a rising CSeq (RFC 3261 10.2.4)."""
    assert seen["granted"] == 8
    assert seen["same call"]
    assert seen["counted on"]
