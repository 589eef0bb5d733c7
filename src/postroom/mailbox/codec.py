"""Bodies as JSON: one canonical form going out, one strict reader coming in.

"The same content" is equality of bytes, so there is exactly one way to write a value: keys
sorted, no spaces, UTF-8. Whatever cannot come back as it went in is refused.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, NoReturn, cast

import msgspec

from ..store.errors import BadInput

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1

_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()
_DIGITS_ALIKE = bytes(0x30 if 0x30 <= code <= 0x39 else code for code in range(256))
_MANY_DIGITS = b"0" * 19


def encode(value: object) -> bytes:
    """The canonical JSON of a value made of None, bool, int, float, str, list, tuple and dict.

    Raises ``BadInput`` for NaN and infinities, NUL and lone surrogates in strings, integers
    beyond 63 bits and a sign, keys that are no strings, other types, nesting deeper than 64, and
    more than 1 MiB of result.
    """
    try:
        body = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        _check(value, "$", 0)
        raise BadInput("a value that JSON cannot hold", one_line(str(error)), "send plain data") from error
    if not (_looks_right(body) and _decoder.decode(body) == value):
        _check(value, "$", 0)
    _check_size(len(body))
    return body


def decode(body: bytes) -> Any:
    """The value of a body that ``encode`` made. Raises ``BadInput`` if it is no JSON."""
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise BadInput("a body that does not decode", one_line(str(error)), "look at its sender") from error


def strict(text: str | bytes) -> Any:
    """The value of JSON that somebody else wrote.

    Raises ``BadInput``, with the place where it is known, for all that ``encode`` refuses and
    for what is no JSON, is no UTF-8, has a key twice, or goes on after its end.
    """
    return _read(text)[0]


def canonical(text: str | bytes) -> bytes:
    """The body that foreign JSON stands for. Raises ``BadInput`` as ``strict`` does."""
    return _read(text)[1]


def _looks_right(body: bytes) -> bool:
    """Whether the bytes alone prove that depth, integers and strings are within bounds.

    It may say no to something good, such as a string full of brackets, but never yes to something
    bad. Together with "decodes to an equal value" that is all: NaN comes back as null, and sets,
    bytes or dates come back as something else than they were.
    """
    return (
        body.count(b"[") + body.count(b"{") <= MAX_DEPTH
        and b"\\u0000" not in body
        and _MANY_DIGITS not in body.translate(_DIGITS_ALIKE)
    )


def _check(value: object, path: str, depth: int) -> None:
    """The proof by looking at everything; names the place of the first fault."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):
        if not LOWEST <= value <= HIGHEST:
            _refuse(path, "an integer beyond 63 bits", "send it as a string")
    elif isinstance(value, float):
        if not isfinite(value):
            _refuse(path, f"{value} is no JSON number", "send null or a string")
    elif isinstance(value, list | tuple | dict):
        if depth == MAX_DEPTH:
            raise _too_deep()
        _check_inside(value, path, depth + 1)
    else:
        _refuse(path, f"a {type(value).__name__} is no JSON", "send plain data")


def _check_inside(value: Any, path: str, depth: int) -> None:
    if isinstance(value, dict):
        for key, item in cast("dict[object, object]", value).items():
            if not isinstance(key, str):
                _refuse(path, f"the key {key!r:.40} is no string", "use strings as keys")
            _check_text(key, path)
            _check(item, f"{path}.{key:.40}", depth)
    else:
        for n, item in enumerate(value):
            _check(item, f"{path}[{n}]", depth)


def _check_text(text: str, path: str) -> None:
    if "\0" in text:
        _refuse(path, "a string with NUL", "remove it")
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse(path, "a string with a lone surrogate", "send valid Unicode")


def _refuse(path: str, why: str, do: str) -> NoReturn:
    raise BadInput("a value that a body cannot hold", f"at {path!r:.200}: {why}", do)


def _too_deep() -> BadInput:
    return BadInput("nested too deep", f"at most {MAX_DEPTH} levels are taken", "flatten it")


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise BadInput(
            "a body that is too large",
            f"{size} bytes, at most {MAX_BYTES} are taken",
            "put it in a file and send its path",
        )


def one_line(text: str, most: int = 200) -> str:
    """A foreign error text as one line without control characters, of at most so many."""
    return "".join(c if c.isprintable() else " " for c in text)[:most]


# Reading what others wrote


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise BadInput("not strict JSON", f"the key {key!r:.60} is there twice", "keep one of them")
        found[key] = value
    return found


def _constant(word: str) -> NoReturn:
    raise BadInput("not strict JSON", f"{word} is no JSON number", "send null or a string")


def _integer(digits: str) -> int:
    if len(digits) > 20 or not LOWEST <= (number := int(digits)) <= HIGHEST:
        raise BadInput("an integer is too large", f"{digits[:24]} is beyond 63 bits", "send it as a string")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise BadInput("a number is too large", f"{digits[:24]} overflows", "send it as a string")
    return number


_strict = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_integer, parse_float=_float
)


def _read(text: str | bytes) -> tuple[Any, bytes]:
    text, size = _as_text(text)
    _check_size(size)
    if text.startswith("\ufeff"):
        raise BadInput("not strict JSON", "it begins with a BOM, which nobody sees", "save it without")
    try:
        value = _strict.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        why = f"{error.msg.removesuffix(' at')} at {place}"
        raise BadInput("not JSON", why, "send strict JSON") from error
    except RecursionError as error:
        raise _too_deep() from error
    return value, encode(value)


def _as_text(text: str | bytes) -> tuple[str, int]:
    """The text and its size in bytes."""
    try:
        if isinstance(text, str):
            return text, len(text.encode())
        return text.decode(), len(text)
    except UnicodeError as error:
        at = error.start if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else 0
        raise BadInput("not UTF-8", f"the fault is at position {at}", "send UTF-8") from error
