"""JSON that others wrote, and values that programs give: the codec."""

from __future__ import annotations

import json
from math import isfinite
from random import Random
from typing import Any

from postroom.mailbox import codec

from . import material
from .judging import demand, taken

RIGHT = (
    b"{}",
    b'{"a":1,"b":[1,2.5,-3e2,true,false,null],"c":{"d":"text \\u00e9 \\n \\ud83d\\ude00"}}',
    b'{"path":"/tmp/x","words":["one","two"],"count":12,"nested":[[[[{"deep":{"er":[]}}]]]]}',
    '"gr\u00f6\u00dfe \U0001f642"'.encode(),
    b"[9007199254740993,-9223372036854775808,9223372036854775807,1e308,5e-324,-0.0]",
    b'{"\\u0001":"\\u001f","/":"\\/"," ":"\\b\\f\\n\\r\\t"}',
)


class _No(Exception):
    """By the book, this is not to be taken."""


def by_the_book(text: str | bytes) -> Any:
    """What strict JSON within the limits means, read in another way than the codec does. Raises ``_No``."""
    try:
        raw = text if isinstance(text, bytes) else text.encode()
        if len(raw) > codec.MAX_BYTES or raw.startswith(b"\xef\xbb\xbf"):
            raise _No
        pairs = json.loads(raw.decode(), object_pairs_hook=_Pairs, parse_constant=_constant)
        return _plain(pairs, 0)
    except (ValueError, RecursionError) as error:
        raise _No from error


class _Pairs(list[tuple[str, Any]]):
    """The members of an object as they stand in the text."""


def _constant(word: str) -> None:
    raise _No(word)


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, list):
        if depth == codec.MAX_DEPTH:
            raise _No
        if not isinstance(value, _Pairs):
            return [_plain(item, depth + 1) for item in value]  # pyright: ignore[reportUnknownVariableType]  # JSON
        if len({key for key, _ in value}) < len(value):
            raise _No
        return {_plain(key, depth): _plain(item, depth + 1) for key, item in value}
    wrong = (
        (isinstance(value, str) and ("\0" in value or not _is_whole(value)))
        or (isinstance(value, int) and not -(2**63) <= value < 2**63)
        or (isinstance(value, float) and not isfinite(value))
    )
    if wrong:
        raise _No
    return value


def _is_whole(text: str) -> bool:
    return not any(0xD800 <= ord(char) <= 0xDFFF for char in text)


class Foreign:
    """Texts and bytes for the strict reader; it must agree with ``by_the_book``."""

    def attempt(self, rng: Random) -> None:
        given = _foreign(rng)
        try:
            expected, right = by_the_book(given), True
        except _No:
            expected, right = None, False
        body = taken(lambda: codec.canonical(given))
        demand((body is not None) == right, "the codec and the book disagree", given, body)
        if body is None:
            return
        demand(codec.strict(given) == expected, "read as something else", given)
        demand(codec.decode(body) == expected, "the canonical form means something else", given, body)
        demand(codec.canonical(body) == body, "the canonical form is not canonical", given, body)
        demand(codec.encode(expected) == body, "two canonical forms of one value", given, body)


def _foreign(rng: Random) -> str | bytes:
    kind = rng.random()
    if kind < 0.65:
        raw = material.bent(rng, rng.choice(RIGHT))
    elif kind < 0.85:
        raw = json.dumps(material.value(rng), ensure_ascii=rng.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )
    elif kind < 0.997:
        raw = material.noise(rng).encode("utf-8", "surrogatepass")
    elif kind < 0.999:
        raw = _nested(rng)
    else:
        raw = b'"' + b"x" * (codec.MAX_BYTES - 2 + rng.choice((-1, 0, 1))) + b'"'
    if rng.random() < 0.5:
        return raw
    return raw.decode("utf-8", rng.choice(("surrogateescape", "replace")))


def _nested(rng: Random) -> bytes:
    depth = rng.choice((codec.MAX_DEPTH, codec.MAX_DEPTH + 1, 900, 3000, 100_000))
    left, right = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")))
    return left * depth + b"1" + right * (depth if rng.random() < 0.7 else 0)


class Values:
    """Python values for the encoder: refused, or they come back as they were."""

    def attempt(self, rng: Random) -> None:
        given = self._value(rng)
        body = taken(lambda: codec.encode(given))
        if body is None:
            return
        back = codec.decode(body)
        demand(back == _listed(given), "came back as something else", given, body)
        demand(codec.canonical(body) == body, "not canonical", given, body)

    def _value(self, rng: Random) -> Any:
        kind = rng.random()
        if kind < 0.9:
            return material.value(rng)
        if kind < 0.99:
            odd: tuple[Any, ...] = ({1, 2}, b"x", 1j, object(), {1: 2}, {None: 1}, {(1,): 2}, (1, (2,)),
            bytearray(b""), range(3), Random)  # fmt: skip
            return [rng.choice(odd)] if rng.random() < 0.5 else rng.choice(odd)
        deep: Any = 1
        for _ in range(rng.choice((63, 64, 65, 900, 5000))):
            deep = [deep]
        return deep


def _listed(value: Any) -> Any:
    """A value with lists for tuples, as JSON gives it back."""
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]  # pyright: ignore[reportUnknownVariableType]  # any value
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]  # any value
    return value
