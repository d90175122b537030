"""Tables as one sqlite file, for sites whose tables are too large for db_text.

db_text takes the square of the rows to start (11 s for 100,000, and 16 MiB of private memory for
10,000); sqlite takes 13 s for a million (docs/decisions/0036). The rendered texts stay what is
compared, shown and diffed; this file is made of them and holds nothing else.
"""

from __future__ import annotations

import sqlite3

from orchestrator.render import generation as generations
from orchestrator.render import wanted

_VERSION = 2
"""What the htable module wants to read in the table ``version``."""


def made_of(generation: generations.Generation) -> bytes:
    """The file's content, made of the rendered htables; empty where Kamailio reads the texts."""
    if not wanted.reads_database(generation):
        return b""
    database = sqlite3.connect(":memory:")
    try:
        database.execute("CREATE TABLE version (table_name TEXT, table_version INTEGER)")
        for file in wanted.tables_of(generation):
            _add(database, file)
        database.commit()
        return database.serialize()
    finally:
        database.close()


def _add(database: sqlite3.Connection, file: generations.File) -> None:
    name = file.table
    if not name.isidentifier():
        raise ValueError(f"{name!r} cannot name a table")
    database.execute("INSERT INTO version VALUES (?, ?)", (name, _VERSION))
    database.execute(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, key_name TEXT, key_type INTEGER,"
        " value_type INTEGER, key_value TEXT, expires INTEGER)"
    )
    database.executemany(
        f"INSERT INTO {name} (key_name, key_type, value_type, key_value, expires)"  # noqa: S608 - an identifier of ours
        " VALUES (?, 0, 0, ?, 0)",
        wanted.table_rows(file),
    )
