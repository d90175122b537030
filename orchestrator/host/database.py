"""Tables as one sqlite file, for sites whose tables are too large for db_text.

db_text takes the square of the rows to start (11 s for 100,000, and 16 MiB of private memory for
10,000); sqlite takes 13 s for a million (docs/decisions/0036). The rendered texts stay what is
compared, shown and diffed; this file is made of them and holds nothing else.

A million rows take longer than all the rest of an apply. So where the texts of an earlier
generation differ in few lines, a copy of its file has these rows changed (docs/decisions/0041). It
holds the same rows as one that is made anew, not the same bytes; each is known by its own digest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

from orchestrator.render import generation as generations
from orchestrator.render import wanted

_VERSION = 2
"""What the htable module wants to read in the table ``version``."""

_MOST_LINES = 100_000
"""Beyond these a new file is made about as fast."""

_Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Base:
    """What an earlier generation has, whole and as it was written.

    Attributes:
        texts: Its rendered htables.
        content: The file that was made of them.
    """

    texts: tuple[generations.File, ...]
    content: bytes


def made_of(generation: generations.Generation, base: Base | None = None) -> bytes:
    """The file's content, made of the rendered htables; empty where Kamailio reads the texts.

    Args:
        generation: Its htables.
        base: Those of another one, from which it may be made.
    """
    if not wanted.reads_database(generation):
        return b""
    files = {file.table: file for file in wanted.tables_of(generation)}
    return (_changed(files, base) if base and base.content else b"") or _new(files)


def _new(files: Mapping[str, generations.File]) -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        for _, statement in _schema(files):
            database.execute(statement)
        for name, file in files.items():
            database.execute("INSERT INTO version VALUES (?, ?)", (name, _VERSION))
            _insert(database, name, sorted(wanted.table_rows(file)))
        database.commit()
        return database.serialize()


def _changed(files: Mapping[str, generations.File], base: Base) -> bytes:
    """An earlier one with other rows; empty when it is another kind of file, or too much is."""
    before = {file.table: file for file in base.texts}
    if before.keys() != files.keys():
        return b""
    changed = {}
    for name, file in files.items():
        if before[name].digest != file.digest:
            found = wanted.changed_rows(before[name].text, file, most=_MOST_LINES)
            if found is None:
                return b""
            changed[name] = found
    with closing(sqlite3.connect(":memory:")) as database, suppress(sqlite3.Error):
        database.deserialize(base.content)
        held = database.execute("SELECT name, sql FROM sqlite_master").fetchall()
        if sorted(held) != sorted(_schema(files)):
            return b""
        for name, (rows, gone) in changed.items():
            database.executemany(
                f"DELETE FROM {name} WHERE key_name = ?",  # noqa: S608 - an identifier of ours
                ((key,) for key in gone),
            )
            _insert(database, name, rows.items())
        database.commit()
        if all(_count(database, name) == wanted.count_rows(file) for name, file in files.items()):
            return database.serialize()
    return b""


def _schema(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each table and how it is made. Rows lie by their keys, or changing one reads all."""
    yield "version", "CREATE TABLE version (table_name TEXT, table_version INTEGER)"
    for name in names:
        if not name.isidentifier():
            raise ValueError(f"{name!r} cannot name a table")
        columns = "key_name TEXT PRIMARY KEY, key_type INTEGER, value_type INTEGER"
        columns += ", key_value TEXT, expires INTEGER"
        yield name, f"CREATE TABLE {name} ({columns}) WITHOUT ROWID"


def _insert(database: sqlite3.Connection, name: str, rows: Iterable[_Row]) -> None:
    database.executemany(
        f"INSERT OR REPLACE INTO {name} (key_name, key_type, value_type, key_value, expires)"  # noqa: S608 - an identifier of ours
        " VALUES (?, 0, 0, ?, 0)",
        rows,
    )


def _count(database: sqlite3.Connection, name: str) -> int:
    (found,) = database.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608 - an identifier of ours
    return int(found)
