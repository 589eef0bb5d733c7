"""How the driver sends values, where a connection is used through it: in binary, as the wire does."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import BytesBinaryDumper, StrBinaryDumper


class TextDumper(StrBinaryDumper):
    """A text that has a NUL in it, as the error of a handler may, is kept with a sign in its place."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\ufffd"))


DUMPERS = (
    (int, Int8BinaryDumper),
    (bytes, BytesBinaryDumper),
    (str, TextDumper),
    (list, ListBinaryDumper),
)


def prepare(conn: psycopg.Connection[Any]) -> None:
    """Have values sent in binary, and whole numbers as ``bigint`` whatever their size.

    A statement has one plan then, and arrays of bodies go out as they are: written in hex, an insert of 200
    messages took two to three times as long.
    """
    for kind, dumper in DUMPERS:
        conn.adapters.register_dumper(kind, dumper)
