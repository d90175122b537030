"""What is different between two texts, against sets of lines; and tables with blocks of rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.render import generation, tables, texts, wanted

LINES = st.lists(st.integers(0, 80), max_size=60, unique=True)
SIZES = st.tuples(st.sampled_from([1, 2, 3, 7, 1 << 16]), st.sampled_from([1, 2, 16]))


def text_of(lines) -> str:
    return "".join(f"{line}\n" for line in ("head", *lines))


@given(LINES, st.sets(st.integers(0, 60)), LINES, SIZES)
def test_lines_in_one_order_are_told_exactly(before, gone, came, sizes):
    """No line more than those that went or came, wherever pieces and windows end."""
    order = [*before, *(line for line in came if line not in before)]
    order.sort(key=lambda line: (line * 37) % 83)
    old = [line for line in order if line in before]
    new = [line for n, line in enumerate(order) if n not in gone or line not in before]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "_PIECE", sizes[0])
        patch.setattr(texts, "_WINDOW", sizes[1])
        found = texts.changed_lines(text_of(old), text_of(new), 200)
    assert found is not None
    assert set(map(int, found[0])) == set(old) - set(new)
    assert set(map(int, found[1])) == set(new) - set(old)
    assert len(found[0]) + len(found[1]) == len(set(old) ^ set(new))


@given(LINES, LINES)
def test_lines_in_any_order_come_to_the_same(old, new):
    """The lines of one text, without those that went and with those that came."""
    found = texts.changed_lines(text_of(old), text_of(new), 500)
    assert found is not None
    gone, came = (set(map(int, lines)) for lines in found)
    assert (set(old) - gone) | came == set(new)


@given(LINES, LINES, st.integers(0, 100))
def test_no_more_lines_are_told_than_asked_for(old, new, most):
    """Too many are none; as many as that are told, where the order is one."""
    old, new = sorted(old), sorted(new)
    found = texts.changed_lines(text_of(old), text_of(new), most)
    assert (found is None) == (len(set(old) ^ set(new)) > most)


def test_a_text_that_was_cut_off_is_not_compared():
    """It ends in the middle of a line: there is no end to be found."""
    assert texts.changed_lines("head\nrow", "head\nrow\n", 9) is None
    assert texts.changed_lines("head\nrow\n", "head\nrow", 9) is None


KEYS = st.text("+=ab01:\\é", min_size=1, max_size=6)


@given(st.dictionaries(KEYS, KEYS, max_size=5), st.dictionaries(KEYS, st.sets(KEYS), max_size=4))
def test_a_block_of_rows_is_read_back_as_each_of_them(entries, owned):
    """Whether it was written at once or, where something is escaped, one by one."""
    table = tables.sealed("t", entries, bits=10, owned=owned)
    text = generation._place("kamailio/tables/htable.j2", table=table)
    file = generation.File("t", text, generation.Effect.TABLE_RELOAD, table="t")
    rows = [
        *table.rows,
        *((key, value) for value in sorted(owned) for key in sorted(owned[value])),
    ]
    assert list(wanted.table_rows(file)) == rows
    told = wanted.seal(file)
    assert told is not None
    assert told[1] == len(rows)
    assert table.entries() == dict(rows)


@given(st.dictionaries(KEYS, st.sets(KEYS, min_size=1), max_size=4), st.randoms())
def test_a_seal_is_that_of_its_rows(owned, choose):
    """Not of the order in which they came; another row is another seal."""
    names = list(owned)
    choose.shuffle(names)
    again = {name: choose.sample(sorted(owned[name]), len(owned[name])) for name in names}
    table = tables.sealed("t", {}, bits=10, owned=owned)
    assert tables.sealed("t", {}, bits=10, owned=again) == table
    for name in names:
        moved = {**owned, name: owned[name] ^ {"another"}}
        assert tables.sealed("t", {}, bits=10, owned=moved).rows != table.rows


def test_control_characters_have_no_way_into_a_block():
    """They would begin a row of their own."""
    for bad in ("a\nb", "a\x00", "\u2028", "\x85"):
        table = tables.sealed("t", {}, bits=10, owned={"owner": ["+49", bad]})
        with pytest.raises(ValueError, match="control character"):
            generation.rows(table)
