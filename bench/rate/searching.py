"""The highest rate at which hardly a call fails: where to look next, and what was found."""

from __future__ import annotations

from collections.abc import Callable

MOST_FAILED = 0.01
FIRST, UP, DOWN = 2.0, 2.0, 0.5
"""Where it begins, as a part of what is guessed, and how it goes on until there are two bounds."""


def search(share_failed: Callable[[float], float], guess: float, turns: int) -> list[float]:
    """Try so many rates, each between the bounds that were found; all of them in their order.

    Args:
        share_failed: Tries a rate and tells which part of the calls failed.
        guess: What may be possible.
        turns: How many rates are tried.
    """
    low, high, rate = 0.0, 0.0, guess * FIRST
    tried = []
    for _ in range(turns):
        tried.append(rate)
        if share_failed(rate) <= MOST_FAILED:
            low = rate
        else:
            high = rate
        rate = low * UP if not high else high * DOWN if not low else (low + high) / 2
    return tried


def bounds(steps: list[dict]) -> tuple[dict | None, dict | None]:
    """The highest step that was good below every one that was not, and the lowest that was not."""
    bad = min((s for s in steps if s["failed"] > MOST_FAILED), key=rate_of, default=None)
    good = [s for s in steps if s["failed"] <= MOST_FAILED]
    good = [s for s in good if bad is None or s["rate"] < bad["rate"]]
    return max(good, key=rate_of, default=None), bad


def rate_of(step: dict) -> float:
    return step["rate"]
