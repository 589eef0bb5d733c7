"""What bad input is made of."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

ESCAPES = (
    "\x00", "\x07", "\x08", "\t", "\n", "\r", "\r\n", "\x0b", "\x0c", "\x1b", "\x1b[2J", "\x1b[31m",
    "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x1bc", "\x7f", "\x80", "\x85", "\x9b31m", "\x9d0;x\x9c",
)  # fmt: skip
"""What a terminal obeys."""

HIDDEN = (
    "\xad", "\u061c", "\u200b", "\u200d", "\u200e", "\u202a", "\u202e", "\u2028", "\u2029", "\u2060",
    "\u2066", "\u2069", "\ufeff", "\ufff9", "\U000e0041", "\U000e007f",
)  # fmt: skip
"""What reorders a line, or cannot be seen in it."""

CONFUSING = (
    "\u0430nna", "\uff41", "\u2010", "\u2215", "\uff0e\uff0e", "\u2024", "\u0131", "\u017f", "\u212a",
    "ẞ", "ﬁ", "e\u0301",
    "\u0660\u0661", "\u00b2", "\uff11", "\u3000", "\xa0", "\u0345", "🙂", "👩‍👩‍👧", "\U0010ffff", "\ufffe",
)  # fmt: skip
"""What looks like something else, or changes under case folding, normalisation or ``int``."""

BROKEN = ("\ud800", "\udfff", "\udc80", "\ud83d", "\udcff")
"""Halves of characters: what an argument that is no UTF-8 becomes."""

PATHS = ("..", "../..", "./.", "/", "//", "/etc/passwd", "~", "~root", "*", "?", "[a-z]", "{a,b}",
    "$HOME", "`id`", "$(id)", "a/../b", "C:\\", "con", ".")  # fmt: skip
OPTIONS = (
    "-",
    "--",
    "---",
    "-x",
    "--=",
    "--json",
    "--store",
    "--fence",
    "-1",
    "-1e5",
    "@file",
    "=",
    "--type=",
    "--ty",
)
SYNTAX = (
    '"',
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "=",
    "#",
    ";",
    "|",
    "&",
    "%s",
    "%n",
    "{0}",
    "{{",
    "null",
    "NaN",
)
WORDS = ("", " ", "  ", "a", "A", "worker/w", "any:worker", "all:worker", "manager-of:t", "any:", "/",
    "x" * 64, "x" * 65,
         "x" * 128, "x" * 129, "x" * 257, "x" * 2001, "None", "true", "0", "../worker/w", "worker//w",
         "worker/w/", "Worker/W")  # fmt: skip

PIECES = ESCAPES + HIDDEN + CONFUSING + BROKEN + PATHS + OPTIONS + SYNTAX + WORDS

NUMBERS = (
    "0", "-0", "1", "-1", "1.5", ".5", "5.", "1e3", "1e400", "-1e400", "1e-400", "NaN", "nan", "Infinity",
    "-Infinity", "inf", "-inf",
    "0x10", "0o7", "0b1", "1_000", "+1", " 1", "1 ", "01", "00", "1e", "e1", "--1", "\u0661", "\xb2",
    "\uff11", "\u0663.\u0665", "1,5", "1.5.1",
    str(1 << 53), str((1 << 63) - 1), str(1 << 63), str(-(1 << 63)), str(-(1 << 63) - 1), "9" * 25,
    "9" * 400, "9" * 5000, "1" + "0" * 308 + ".0",
)  # fmt: skip

IDS = (
    "00000000-0000-4000-8000-000000000000", "00000000000040008000000000000000",
    "0190a6f0-0000-7000-8000-000000000001",
    "ffffffff-ffff-ffff-ffff-ffffffffffff", "{00000000-0000-4000-8000-000000000000}",
    "urn:uuid:00000000-0000-4000-8000-000000000000",
)  # fmt: skip


def text(rng: Random) -> str:
    """A hostile text: some pieces next to each other, now and then very many of one."""
    if rng.random() < 0.01:
        return rng.choice(PIECES) * rng.choice((64, 300, 5000))
    return "".join(rng.choice(PIECES) for _ in range(rng.choice((1, 1, 2, 3))))


def noise(rng: Random, most: int = 40) -> str:
    """Any characters at all, halves of characters too."""
    ranges = rng.choice((0x80, 0x100, 0x3000, 0x110000))
    return "".join(chr(rng.randrange(ranges)) for _ in range(rng.randrange(most)))


def near(rng: Random, right: str) -> str:
    """A right text with something wrong in it; sometimes it stays right."""
    at = rng.randrange(len(right) + 1)
    kind = rng.randrange(6)
    if kind == 0:
        return right[:at]
    if kind == 1:
        return right[:at] + right[at + 1 :]
    if kind == 2:
        return right.upper() if rng.random() < 0.5 else right.title()
    if kind == 3:
        return right + right
    if kind == 4:
        return right
    return right[:at] + rng.choice(PIECES) + right[at:]


def word(rng: Random, right: str) -> str:
    """Something in the place of ``right``: near it, hostile, or noise."""
    kind = rng.random()
    if kind < 0.5:
        return near(rng, right)
    return text(rng) if kind < 0.9 else noise(rng)


def whole(rng: Random) -> int:
    """A whole number, most of them at some edge."""
    return rng.choice((0, 1, -1, 2, 64, 1000, 1001, 1 << 20, 1 << 53, (1 << 63) - 1, 1 << 63, -(1 << 63),
        10**25)) + rng.choice((0, 0, 1, -1))  # fmt: skip


def seconds(rng: Random) -> float:
    """A duration, most of them at some edge."""
    edges = (
        0.0,
        -0.0,
        0.001,
        0.0001,
        1.0,
        60.0,
        86_400.0,
        86_401.0,
        604_800.0,
        3.2e8,
        1e18,
        1e308,
        -1.0,
        5e-324,
    )
    return rng.choice((*edges, float("nan"), float("inf"), float("-inf")))


def value(rng: Random, depth: int = 3) -> Any:
    """A value such as JSON or Python might give, good or not."""
    leaves: tuple[Callable[[], Any], ...] = (
        lambda: None,
        lambda: rng.random() < 0.5,
        lambda: whole(rng),
        lambda: seconds(rng),
        lambda: text(rng),
        lambda: noise(rng),
    )
    if depth and rng.random() < 0.4:
        size = rng.randrange(4)
        if rng.random() < 0.5:
            return [value(rng, depth - 1) for _ in range(size)]
        return {rng.choice((text, noise))(rng): value(rng, depth - 1) for _ in range(size)}
    return rng.choice(leaves)()


def bent(rng: Random, right: bytes) -> bytes:
    """Right bytes after one to three accidents."""
    raw = bytearray(right)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(raw) + 1)
        kind = rng.randrange(8)
        if kind == 0 and at < len(raw):
            raw[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del raw[at:]
        elif kind == 2:
            del raw[at : at + rng.randrange(1, 5)]
        elif kind == 3:
            raw[at:at] = raw[at : at + rng.randrange(1, 40)]
        elif kind == 4:
            raw[at:at] = rng.choice(PIECES).encode("utf-8", "surrogatepass")
        elif kind == 5:
            raw[at:at] = rng.choice((b"\xff", b"\xfe\xff", b"\xc0\x80", b"\xe0\x80\xaf", b"\xed\xa0\x80",
                b"\xf8\x88\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf"))  # fmt: skip
        elif kind == 6:
            raw[at:at] = rng.choice(NUMBERS).encode()
        else:
            raw[at:at] = rng.choice((b'"a":1,', b",", b"{", b"]", b'"', b"\\u0000", b"\\ud800", b"\\x",
                b"//", b"\n", b"NaN", b"1e999"))  # fmt: skip
    return bytes(raw)
