from __future__ import annotations

import datetime
import enum
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.mailbox import codec
from postroom.store.errors import BadInput

HIGHEST, LOWEST = 2**63 - 1, -(2**63)


class _Colour(enum.Enum):
    RED = "red"


class _Struct(msgspec.Struct):
    x: int = 1


_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(LOWEST, HIGHEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text
)
_values = st.recursive(_scalars, lambda inner: st.lists(inner) | st.dictionaries(_text, inner), max_leaves=25)


@given(_values)
@example(0.1 + 0.2)
@example([HIGHEST, LOWEST, -0.0, 1e308, 5e-324])
@example({"\\u0000": "[[[{{{", "1" * 40: '"\\'})
def test_every_value_comes_back_as_it_went_in(value: Any) -> None:
    body = codec.encode(value)
    assert codec.decode(body) == value
    assert codec.canonical(body) == body
    assert codec.encode(codec.strict(json.dumps(value))) == body


@given(st.text() | st.binary())
def test_whatever_the_strict_reader_takes_every_reader_understands_alike(text: str | bytes) -> None:
    refused: BadInput | None = None
    value: Any = None
    try:
        value = codec.strict(text)
    except BadInput as error:
        refused = error
    if refused is None:
        assert json.loads(text) == value == codec.decode(codec.encode(value))
    else:
        assert str(refused).isprintable()


def test_the_canonical_form_is_sorted_compact_utf_8() -> None:
    assert (
        codec.canonical(' { "ü" : [1, 2.0 , "\\u00fc"], "a": null } ')
        == '{"a":null,"ü":[1,2.0,"ü"]}'.encode()
    )


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


GOOD = [
    _nested(64),
    '{"a":' * 64 + "1" + "}" * 64,
    json.dumps([[]] * 500),
    str(HIGHEST),
    str(LOWEST),
    "1e308",
    "-0.0",
    '"' + "[" * 100 + '"',
    '"' + "9" * 50 + '"',
    '"\\\\u0000"',
    '"\\ud83d\\ude00"',
]


@pytest.mark.parametrize("text", GOOD)
def test_what_only_looks_dangerous_is_taken(text: str) -> None:
    assert codec.strict(text) == json.loads(text)


BAD = {
    "duplicate key": ('{"a":{"b":1,"b":2}}', "twice"),
    "the same key escaped": ('{"a":1,"\\u0061":2}', "twice"),
    "NaN": ("[NaN]", "NaN"),
    "Infinity": ("-Infinity", "Infinity"),
    "1e400": ("[1e400]", "overflows"),
    "-1e400": ("-1e400", "overflows"),
    "NUL": ('{"a":["x\\u0000"]}', "NUL"),
    "NUL in a key": ('{"\\u0000":1}', "NUL"),
    "lone surrogate": ('["\\ud800"]', "surrogate"),
    "surrogates the wrong way round": ('"\\ude00\\ud83d"', "surrogate"),
    "64 bits": (str(HIGHEST + 1), "63 bits"),
    "-64 bits": (f"[{LOWEST - 1}]", "63 bits"),
    "5000 digits": ("9" * 5000, "63 bits"),
    "65 levels": (_nested(65), "nested"),
    "100000 levels": ("[" * 100_000, "nested"),
    "65 objects": ('{"a":' * 65 + "1" + "}" * 65, "nested"),
    "too large": ('"' + "x" * (1 << 20) + '"', "too large"),
    "trailing": ("{} {}", "Extra data at line 1, column 4"),
    "empty": ("", "line 1, column 1"),
    "cut off": ('{"a":\n  ', "line 2, column 3"),
    "single quotes": ("{'a':1}", "line 1, column 2"),
    "raw control character": ('"a\nb"', "control character at line 1, column 3"),
    "BOM": ("\ufeff{}", "BOM"),
    "escaped argument": ("\udcff", "UTF-8"),
    "leading zero": ("01", "line 1, column 2"),
}


@pytest.mark.parametrize(("text", "reason"), BAD.values(), ids=BAD.keys())
def test_what_is_not_strict_json_is_refused_with_one_line(text: str, reason: str) -> None:
    for form in (text, text.encode("utf-8", "surrogatepass")):
        with pytest.raises(BadInput) as caught:
            codec.strict(form)
        assert reason in str(caught.value)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", [b"\xff", b'"\xc3"', '"é"'.encode("latin-1"), "{}".encode("utf-16")])
def test_bytes_that_are_not_utf_8_are_refused(text: bytes) -> None:
    with pytest.raises(BadInput):
        codec.strict(text)


UNSENDABLE: dict[str, tuple[Any, str]] = {
    "NaN": ({"a": [math.nan]}, r"'\$\.a\[0\]'.*nan"),
    "infinity": (math.inf, "inf"),
    "number as key": ({1: 2}, "no string"),
    "NUL": ("a\0b", "NUL"),
    "surrogate": (["\ud800"], "surrogate"),
    "surrogate in a key": ({"\ud800": 1}, "surrogate"),
    "large": (2**63, "63 bits"),
    "very large": ([-(10**40)], "63 bits"),
    "set": ({"a": {1, 2}}, "set"),
    "bytes": (b"ab", "bytes"),
    "date": (datetime.date(2026, 1, 1), "date"),
    "enum": (_Colour.RED, "Colour"),
    "struct": (_Struct(), "Struct"),
    "object": (object(), "object"),
    "deep": (json.loads(_nested(65)), "nested"),
    "too large": ("x" * (1 << 20), "too large"),
}


@pytest.mark.parametrize(("value", "reason"), UNSENDABLE.values(), ids=UNSENDABLE.keys())
def test_what_would_not_come_back_is_refused(value: object, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        codec.encode(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(BadInput, match="nested"):
        codec.encode(value)


def test_tuples_are_lists() -> None:
    assert codec.encode({"a": (1, (2,))}) == b'{"a":[1,[2]]}'


def test_a_damaged_body_is_named_so() -> None:
    with pytest.raises(BadInput, match="does not decode"):
        codec.decode(b"{")


def test_many_equal_keys_are_refused_quickly() -> None:
    text = "{" + ",".join(f'"k{n}":1' for n in range(90_000)) + ',"k89999":2}'
    with pytest.raises(BadInput, match="twice"):
        codec.strict(text)
