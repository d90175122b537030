"""Refused any file operation, an apply or a rollback loses nothing, and says so."""

from __future__ import annotations

import pytest
import ways

pytestmark = [pytest.mark.engine, pytest.mark.slow(120)]


warm = ways.warm


@pytest.mark.parametrize("lane", ways.LANES)
@pytest.mark.parametrize("verb", ["apply", "rollback"])
def test_every_file_operation_is_refused_once(warm, verb):
    """No false success, nothing lost, and the next run succeeds."""
    ways.prove(warm, verb, "file")
