"""A database made of an earlier one holds what one that is made anew holds, or is made anew."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host import database
from orchestrator.render import generation as generations
from orchestrator.render import tables, wanted

KEYS = st.text("+=01:\\é", min_size=1, max_size=4)
NUMBERS = st.dictionaries(KEYS, st.sets(KEYS, max_size=6), max_size=4)
CONFIG = generations.File(
    wanted.KAMAILIO_CONFIG,
    f'"sqlite:///x/{wanted.DATABASE}")',
    generations.Effect.KAMAILIO_RESTART,
)


def hosting(owned, other: str = "x") -> generations.Generation:
    """One whose Kamailio reads a large table and a small one; every key has one owner."""
    seen: set[str] = set()
    told = {}
    for owner in sorted(owned):
        told[owner] = owned[owner] - seen
        seen |= told[owner]
    made = (
        tables.sealed("number", {"/p": "1"}, bits=10, owned=told),
        tables.table("trunk", {"office": other}),
    )
    files = tuple(
        generations.File(
            f"kamailio/tables/{table.name}",
            "key_name(string)\n" + generations.rows(table),
            generations.Effect.TABLE_RELOAD,
            table=table.name,
        )
        for table in made
    )
    return generations.Generation((CONFIG, *files), "s")


def base_of(generation, content: bytes) -> database.Base:
    return database.Base(wanted.tables_of(generation), content)


def held(content: bytes) -> dict[str, list[tuple]]:
    """All that a file holds, its schema included."""
    with contextlib.closing(sqlite3.connect(":memory:")) as read:
        read.deserialize(content)
        assert read.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = {"": sorted(read.execute("SELECT name, sql FROM sqlite_master").fetchall())}
        for name, _ in found[""]:
            found[name] = sorted(read.execute(f"SELECT * FROM {name}").fetchall())
        return found


@given(st.lists(st.tuples(NUMBERS, st.sampled_from("xyz")), min_size=2, max_size=4))
def test_one_made_of_another_holds_what_a_new_one_holds(sites):
    """However often one was made of the one before."""
    last = hosting(*sites[0])
    content = database.made_of(last)
    for site in sites[1:]:
        this = hosting(*site)
        content = database.made_of(this, base_of(last, content))
        assert held(content) == held(database.made_of(this))
        last = this


BEFORE = hosting({"a": {"=1", "=2", "=3"}, "b": {"=4"}})
AFTER = hosting({"a": {"=1", "=2"}, "b": {"=4", "=5"}})


def altered(statement: str) -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as changed:
        changed.deserialize(database.made_of(BEFORE))
        changed.executescript(statement)
        return changed.serialize()


def test_what_did_not_change_is_taken_over():
    """It is what the time is saved by; what is taken is known by its digest to who asks."""
    found = held(
        database.made_of(AFTER, base_of(BEFORE, altered("UPDATE trunk SET key_value = 'taken'")))
    )
    assert found["trunk"] == [("office", 0, 0, "taken", 0)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no database",
        database.made_of(BEFORE)[:5000],
        b"SQLite format 3\0" + bytes(9000),
        altered("DELETE FROM number WHERE key_name = '=4'"),
        altered("INSERT INTO trunk VALUES ('more', 0, 0, 'x', 0)"),
        altered("DROP TABLE trunk"),
        altered("CREATE TABLE more (x)"),
        altered("ALTER TABLE number RENAME COLUMN expires TO expired"),
    ],
)
def test_another_file_is_not_built_upon(content):
    """An earlier sbcctl made it another way, or it is not what was written."""
    assert database.made_of(AFTER, base_of(BEFORE, content)) == database.made_of(AFTER)


def test_other_tables_and_too_many_rows_are_made_anew():
    """A table more is a row in the list of tables as well."""
    more = generations.Generation(BEFORE.files[:2], "s")
    content = database.made_of(more)
    assert database.made_of(AFTER, base_of(more, content)) == database.made_of(AFTER)
    grown = hosting({"a": {f"={number}" for number in range(110_000)}})
    taken = altered("UPDATE trunk SET key_value = 'taken'")
    assert held(database.made_of(grown, base_of(BEFORE, taken)))["trunk"] != [
        ("office", 0, 0, "taken", 0)
    ]
