"""The troubles a story can make in the world, and that the world is whole again after each."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
import test_world

from orchestrator.lab import addresses, preflight

PROGRAM = Path(__file__).with_name("troubled.py")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        bool(preflight.find_missing(None)), reason="the lab's programs are not installed"
    ),
]


@pytest.fixture(scope="module")
def seen() -> dict[str, dict[str, object]]:
    """What the program saw in one world."""
    ran = subprocess.run(
        [sys.executable, str(PROGRAM)],
        env=test_world.environment(secrets.token_hex(16)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_an_address_falls_silent_and_only_that_one(seen):
    assert seen["cut off"]["before"] == ["answer", "answer"]
    assert seen["cut off"]["silent"] == ["silence", "silence", "answer"]


def test_an_address_refuses_and_only_that_one(seen):
    assert seen["cut off"]["refusing"] == ["refused", "refused", "answer"]


def test_a_story_that_fails_leaves_no_trouble_behind(seen):
    assert seen["cut off"]["after"] == ["answer", "answer"]
    host = addresses.TEAMS_HOSTS["sip.pstnhub.microsoft.com"]
    assert seen["names"]["after"] == [[host], [addresses.ACME_ADDRESS]]


def test_names_lead_elsewhere_or_nowhere(seen):
    host = addresses.TEAMS_HOSTS["sip.pstnhub.microsoft.com"]
    assert seen["names"]["during"] == [[host, addresses.TEAMS_SPARE], []]


def test_the_router_hides_the_phone_behind_its_address_and_a_port_of_its_own(seen):
    address, port = seen["nat"]["source"]
    assert address == addresses.ROUTER_LAN
    assert port != 5060
    assert seen["nat"]["again"] is True


def test_the_router_lets_answers_in_and_nothing_else(seen):
    assert seen["nat"]["answer"] == "answer"
    assert seen["nat"]["uninvited"] == "silence"
    assert seen["nat"]["direct"] == "Network is unreachable"


def test_a_forgetful_router_forgets(seen):
    assert seen["nat"]["late"] == "silence"
    assert seen["nat"]["moved"] is True
