"""Rows of large tables are changed in an order in which no call misses one."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines import kamailio_tables
from orchestrator.render import routes

NUMBERS = ("+4930555000", "+4930555001", "+4930555010", "+4930555099")
KEYS = st.sampled_from(
    [f"=+{each}" for each in ("4930555000", "4930555010")]
    + [f"r11/{number[:length]}" for number in NUMBERS for length in (8, 9, 10)]
    + [f"p{number[:length]}" for number in NUMBERS for length in (3, 6)]
)
ROWS = st.dictionaries(KEYS, st.sampled_from(["a", "b"]))


def found(rows: dict[str, str], number: str) -> str | None:
    keys = (key for key in routes.keys_below(number, rows) if key in rows)
    return next((rows[key] for key in keys), None)


@given(ROWS, ROWS, st.randoms())
def test_no_call_misses_a_row_that_was_and_will_be(before, after, choose: random.Random):
    """A number that is somebody's before and after is somebody's all the time."""
    old, new = ({**rows, **routes.widths_of(rows)} for rows in (before, after))
    rows = {key: value for key, value in new.items() if old.get(key) != value}
    gone = choose.sample(sorted(old.keys() - new.keys()), len(old.keys() - new.keys()))
    held = {key: old.get(key, "") for key in (*rows, *gone) if routes.is_about_lengths(key)}
    always = [number for number in NUMBERS if found(old, number) and found(new, number)]
    now = dict(old)
    for key, value in kamailio_tables.in_order(rows, gone, held):
        assert now.get(key) != value, "nothing is set to what it is"
        if value is None:
            del now[key]
        else:
            now[key] = value
        assert all(found(now, number) for number in always)
    assert now == new
