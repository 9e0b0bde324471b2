"""What an SQLite file defines: tables and their indexes, but also views and triggers.

Reading a view can take for ever, and a trigger can change what is written. The constraints of a table and the
expressions of an index can do both. So a file is used only if each of its definitions is one of onward's,
word by word.
"""

import sqlite3
from contextlib import closing

Definition = tuple[str, ...]
"""Type, name and SQL of a table, index, view or trigger."""


def definitions_in(database: sqlite3.Connection) -> set[Definition]:
    """Returns everything that a database defines, except the indexes that its tables imply.

    Functions that are not safe to call from a foreign file are switched off for this connection.
    """
    database.execute("pragma trusted_schema = off")
    found = database.execute("select type, name, sql from sqlite_master where sql is not null").fetchall()
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in found}


def definitions_of(script: str) -> set[Definition]:
    """Returns everything that a database defines after a script of SQL."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(script)
        return definitions_in(database)
