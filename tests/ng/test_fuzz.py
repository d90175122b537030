"""A short slice of tests/fuzz/fuzz_bencode.py with every test run."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import fuzz_bencode

from rtpengine_ng import bencode


def test_damaged_messages_only_raise_encoding_errors():
    accepted, refused = fuzz_bencode.run(20_000, seed=2)
    assert accepted + refused == 20_000
    assert accepted > 100
    assert refused > 10_000


def test_the_same_seed_makes_the_same_inputs():
    assert list(fuzz_bencode.inputs(200, 3)) == list(fuzz_bencode.inputs(200, 3))


@pytest.mark.parametrize("message", fuzz_bencode.VALID)
def test_the_undamaged_messages_are_valid(message):
    assert bencode.encode(bencode.decode(message)) == message


def test_it_runs_as_a_script():
    script = Path(fuzz_bencode.__file__)
    ran = subprocess.run(
        [sys.executable, script, "--count", "500"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("500 inputs, ")
