"""What an SQLite file defines: tables and columns, but also views and triggers.

Reading a view can take for ever, and a trigger can change what is written. So a file is used only if it
defines the tables of onward and no others, and neither views nor triggers. Indexes are harmless.
"""

import sqlite3
from contextlib import closing

Definition = tuple[str, ...]
"""Type and name of a table, view or trigger, and the names of its columns."""


def definitions_in(database: sqlite3.Connection) -> set[Definition]:
    """Returns everything that a database defines, except indexes.

    Functions that are not safe to call from a foreign file are switched off for this connection.
    """
    database.execute("pragma trusted_schema = off")
    named = database.execute("select type, name from sqlite_master where type <> 'index'").fetchall()
    columns = "select name from pragma_table_xinfo(?)"
    return {(kind, name, *(c for (c,) in database.execute(columns, (name,)))) for kind, name in named}


def definitions_of(script: str) -> set[Definition]:
    """Returns everything that a database defines after a script of SQL."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(script)
        return definitions_in(database)
