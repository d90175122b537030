"""Refused any file operation, an apply or a rollback loses nothing, and says so."""

from __future__ import annotations

import sys

import pytest
import ways

pytestmark = [pytest.mark.engine, pytest.mark.slow(120)]


warm = ways.warm


@pytest.mark.parametrize("lane", ways.LANES)
@pytest.mark.parametrize("verb", ["apply", "rollback"])
def test_every_file_operation_is_refused_once(warm, verb):
    """No false success, nothing lost, and the next run succeeds."""
    proof = ways.Proof(ways.Way(warm, verb), "file")
    proof.run()
    told = proof.tell()
    sys.stdout.write(f"\n{told}\n")
    assert not proof.wrong, "\n".join([*proof.wrong, told])
    assert sum(proof.table[key] for key in proof.table if key[1] == "faults") > 15
