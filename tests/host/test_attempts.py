"""What is remembered of attempts survives, and what cannot be read counts as none."""

from __future__ import annotations

import datetime as dt

import pytest

from orchestrator import renewal
from orchestrator.host import attempts

NOW = dt.datetime(2026, 11, 26, 12, 0, tzinfo=dt.UTC)
CA = "https://first.example/dir"


def test_attempts_are_noted_named_and_taken_back(tmp_path):
    """Before the CA is asked, with the time it named, and gone when one succeeded."""
    attempts.begin(tmp_path, CA, NOW)
    attempts.begin(tmp_path, CA, NOW + dt.timedelta(minutes=1))
    attempts.name_time(tmp_path, NOW + dt.timedelta(hours=2))
    first, second = attempts.read(tmp_path).failed
    assert first == renewal.Attempt(NOW, CA)
    assert second.retry_at == NOW + dt.timedelta(hours=2)
    assert (tmp_path / "renewal.json").stat().st_mode & 0o777 == 0o600
    window = renewal.Window("ab", NOW, NOW + dt.timedelta(days=1), "https://why.example")
    attempts.hear(tmp_path, window, NOW + dt.timedelta(hours=6))
    attempts.hear(tmp_path, None, NOW + dt.timedelta(hours=7))
    attempts.succeed(tmp_path)
    assert attempts.read(tmp_path) == renewal.Memory((), window, NOW + dt.timedelta(hours=7))


def test_old_ones_are_forgotten(tmp_path):
    """After a month, and never more than two hundred."""
    attempts.begin(tmp_path, CA, NOW - dt.timedelta(days=31))
    for number in range(210):
        attempts.begin(tmp_path, CA, NOW + dt.timedelta(seconds=number))
    kept = attempts.read(tmp_path).failed
    assert len(kept) == 200
    assert kept[-1].at == NOW + dt.timedelta(seconds=209)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"failed": [{"at": "x"}], "window": null, "ask_again": null}',
        '{"failed": [], "window": null, "ask_again": "2026-01-01T00:00:00"}',
    ],
)
def test_what_cannot_be_read_counts_as_none(tmp_path, content):
    """Cut off, foreign, or times without a zone."""
    (tmp_path / "renewal.json").write_text(content)
    assert attempts.read(tmp_path) == renewal.Memory()
