"""What tests of every room share."""

from __future__ import annotations

import lanes
import pytest


@pytest.fixture(scope="session", params=lanes.names())
def lane(request: pytest.FixtureRequest) -> str:
    """The name of a set of engines; the test runs once for each (tests/lanes.py)."""
    if reason := lanes.missing(request.param):
        pytest.skip(reason)
    name: str = request.param
    return name
