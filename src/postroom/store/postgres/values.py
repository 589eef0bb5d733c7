"""Values as the server takes them: in binary, by the type that a statement names for each parameter.

Written by hand because it is what a batch costs: hundreds of messages go out as two dozen arrays.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import psycopg

Value = bytes | None
Dump = Callable[[Any], bytes]

BOOLEAN, BYTEA, BIGINT, TEXT, JSON = 16, 17, 20, 25, 114
BYTEA_ARRAY, TEXT_ARRAY, BIGINT_ARRAY = 1001, 1009, 1016
"""Numbers of types, which are the same on every server (its catalogue ``pg_type``)."""

ARRAYS = {BYTEA_ARRAY: BYTEA, TEXT_ARRAY: TEXT, BIGINT_ARRAY: BIGINT}
NAMES = {
    "boolean": BOOLEAN, "bytea": BYTEA, "bigint": BIGINT, "text": TEXT, "json": JSON,
    "bytea[]": BYTEA_ARRAY, "text[]": TEXT_ARRAY, "bigint[]": BIGINT_ARRAY,
}  # fmt: skip

PARAMETER = re.compile(r"\$(\d+)(?:::(\w+(?:\[\])?))?")
NULL_BYTES = b"\xff\xff\xff\xff"


def _text(value: str) -> bytes:
    """A text that has a NUL in it, as the error of a handler may, is kept with a sign in its place."""
    return value.replace("\0", "\ufffd").encode()


_bigint = struct.Struct(">q").pack
_sized_bigint = struct.Struct(">iq").pack
_size = struct.Struct(">i").pack
_array_head = struct.Struct(">iiiii").pack

DUMPS: dict[int, Dump] = {
    BOOLEAN: lambda value: b"\1" if value else b"\0",
    BYTEA: bytes,
    BIGINT: _bigint,
    TEXT: _text,
    JSON: _text,
}


@cache
def types_of(statement: str) -> tuple[int, ...]:
    """The types of a statement's parameters, each of which has a cast somewhere: ``$1::bigint``.

    Raises ``ValueError`` if one has none.
    """
    types: dict[int, int] = {}
    places: set[int] = set()
    for number, name in PARAMETER.findall(statement):
        places.add(int(number))
        if name:
            types.setdefault(int(number), NAMES[name])
    if missing := [number for number in range(1, max(places, default=0) + 1) if number not in types]:
        raise ValueError(f"nobody says of what type ${missing[0]} is in: {statement}")
    return tuple(types[number] for number in sorted(types))


def dumped(types: Sequence[int], values: Sequence[Any]) -> list[Value]:
    """Values for parameters of these types. Raises ``psycopg.DataError`` for what such a type cannot be."""
    try:
        return [
            None if value is None else _array(ARRAYS[of], value) if of in ARRAYS else DUMPS[of](value)
            for of, value in zip(types, values, strict=True)
        ]
    except (struct.error, UnicodeEncodeError) as error:
        raise psycopg.DataError(f"no value for the server: {error}") from error


def _array(of: int, values: Sequence[Any]) -> bytes:
    count = len(values)
    if not count:
        return _array_head(0, 0, of, 0, 0)[:12]
    head = _array_head(1, 1, of, count, 1)
    if values.count(values[0]) == count:  # as in most columns of a batch
        return head + _sized(of, values[0]) * count
    return head + b"".join([_sized(of, value) for value in values])


def _sized(of: int, value: Any) -> bytes:
    """A value in an array, after its length."""
    if value is None:
        return NULL_BYTES
    if of == BIGINT:
        return _sized_bigint(8, value)
    data = DUMPS[of](value)
    return _size(len(data)) + data
