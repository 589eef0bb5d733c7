"""The sign of a copy that is not finished: until it is gone, there is no store in the schema."""

from __future__ import annotations

from ..errors import StoreUnavailable
from .patience import Connection
from .urls import Place

MARK_TABLE = "unfinished_copy"
"""What the copy goes by."""

STORE_TABLE = "unfinished_store"
"""The table ``store``, under a name by which nobody looks for it."""

IS_THERE = "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL"


def is_there(conn: Connection, place: Place) -> bool:
    """Whether a copy was begun in the schema and not finished. Raises ``psycopg.Error``."""
    names = tuple(f"{place.schema}.{table}" for table in (MARK_TABLE, STORE_TABLE))
    row = conn.execute(IS_THERE, names).fetchone()
    return row is not None and bool(row[0])


def refuse(conn: Connection, place: Place) -> None:
    """Keep everybody but a copy out of a schema with an unfinished one. Raises ``StoreUnavailable``."""
    if is_there(conn, place):
        raise StoreUnavailable(
            f"no store in schema {place.schema}",
            "a copy to it was cut off, or goes on",
            "finish it with: postroom copy",
        )
