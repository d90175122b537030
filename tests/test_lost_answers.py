"""Nobody takes a question, or its answer is lost: an apply or a rollback says what is true."""

from __future__ import annotations

import pytest
import ways

pytestmark = [pytest.mark.engine, pytest.mark.slow(140)]


warm = ways.warm


@pytest.mark.parametrize("lane", ways.LANES)
@pytest.mark.parametrize("verb", ["apply", "rollback"])
def test_every_exchange_fails_once(warm, verb):
    """No false success, nothing lost, and the next run succeeds."""
    ways.prove(warm, verb, "exchange")
