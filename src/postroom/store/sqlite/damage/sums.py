"""The sum that SQLite puts on WAL frames and its checksum VFS on pages; finding a wrong byte by it.

Both run over pairs of 32-bit words: ``s0 += word + s1``, ``s1 += word + s0``. Seen as one row of
values, each is the sum of the two before it and one word, so a word that is off by ``d`` shifts the
end by ``d`` times a Fibonacci number that depends only on how far from the end it stands. From the
two differences at the end follow the word and ``d``, but not always one word alone: the top byte of
a word only reaches the top bits of the sum, where the Fibonacci numbers soon repeat.
"""

from __future__ import annotations

from functools import cache
from struct import Struct
from typing import Literal

Sum = tuple[int, int]

MASK = 0xFFFFFFFF
START: Sum = (0, 0)
LONG = 512
FEW = 4
RUN = 12
_PAIR = Struct("<2I")
_PAIR_BIG = Struct(">2I")


def add_up(start: Sum, data: bytes | memoryview, *, big: bool = False) -> Sum:
    """The sum after ``data``, whose length is a multiple of 8. ``big``: words are big-endian."""
    s0, s1 = start
    odd = len(data) - (1 << len(data).bit_length() - 1)  # what is left of a power of two
    alone = len(data) if big or len(data) < LONG else odd if odd < LONG else 0
    for a, b in (_PAIR_BIG if big else _PAIR).iter_unpack(data[:alone]):
        s0 = (s0 + a + s1) & MASK
        s1 = (s1 + b + s0) & MASK
    return (s0, s1) if alone == len(data) else _fold((s0, s1), data[alone:])


def _fold(start: Sum, data: bytes | memoryview) -> Sum:
    """The same for many words at once: the first half of the data moves the sum as if it stood, changed
    by a fixed matrix, where the second half stands; so the halves are added, again and again.

    All even words are one large number and all odd words another, each with 64 bits a word.
    """
    pairs = 1 << (len(data) // 8 - 1).bit_length()
    words = int.from_bytes(data, "little") << 64 * (pairs - len(data) // 8)  # zeros before it add nothing
    mask = _mask(pairs)
    p = words & mask
    q = (p + ((words >> 32) & mask)) & mask
    while pairs > FEW:
        f0, f1, f2 = _moves(pairs)
        pairs >>= 1
        mask = _mask(pairs)
        p0, q0 = p & mask, q & mask
        p = ((p0 * f0 & mask) + (q0 * f1 & mask) + (p >> 64 * pairs)) & mask
        q = ((p0 * f1 & mask) + (q0 * f2 & mask) + (q >> 64 * pairs)) & mask
    s0 = s1 = 0
    for place in range(0, 64 * pairs, 64):
        s0, s1 = s0 + s1 + (p >> place & MASK), s0 + 2 * s1 + (q >> place & MASK)
    f0, f1, f2 = _moves(len(data) // 4)
    return (s0 + f0 * start[0] + f1 * start[1]) & MASK, (s1 + f1 * start[0] + f2 * start[1]) & MASK


@cache
def _moves(words: int) -> tuple[int, int, int]:
    """How zeros move a sum: ``s0`` becomes ``f0 s0 + f1 s1``, ``s1`` becomes ``f1 s0 + f2 s1``."""
    before, after = 1, 0
    for _ in range(words):
        before, after = after, (before + after) & MASK
    return before, after, (before + after) & MASK


@cache
def _mask(pairs: int) -> int:
    return int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * pairs, "little")


def corrections(
    data: bytes | memoryview, start: Sum, wanted: Sum, *, big: bool = False
) -> list[tuple[int, int]]:
    """Every (offset, byte) that alone makes the sum of ``data`` the wanted one."""
    found = add_up(start, data, big=big)
    off0, off1 = (wanted[0] - found[0]) & MASK, (wanted[1] - found[1]) & MASK
    order: Literal["big", "little"] = "big" if big else "little"
    candidates: list[tuple[int, int]] = []
    for k, (f0, f1, inverse) in enumerate(_weights(len(data) // 4)):
        # Two neighbours among the Fibonacci numbers are never both even, so one can be divided by.
        shift = ((off1 if f1 & 1 else off0) * inverse) & MASK
        if (f0 * shift) & MASK != off0 or (f1 * shift) & MASK != off1:
            continue
        old = bytes(data[4 * k : 4 * k + 4])
        new = ((int.from_bytes(old, order) + shift) & MASK).to_bytes(4, order)
        places = [place for place in range(4) if old[place] != new[place]]
        if len(places) == 1:
            candidates.append((4 * k + places[0], new[places[0]]))
    return candidates


@cache
def _weights(words: int) -> list[tuple[int, int, int]]:
    """For each word: what a difference in it does to both halves of the sum, and the inverse of the
    odd one of the two."""
    row = [0, 1]
    while len(row) <= words:
        row.append((row[-1] + row[-2]) & MASK)
    return [
        (f0, f1, pow(f1 if f1 & 1 else f0, -1, MASK + 1))
        for f0, f1 in ((row[words - 1 - k], row[words - k]) for k in range(words))
    ]


def stands_out(data: bytes, offset: int, byte: int) -> bool:
    """Whether one byte breaks a long run of another, as damage in unused space does."""
    around = data[max(0, offset - RUN) : offset] + data[offset + 1 : offset + 1 + RUN]
    return len(around) == 2 * RUN and data[offset] != byte and not around.strip(bytes((byte,)))


def one_byte_off(found: bytes, wanted: bytes) -> int | None:
    """Where the only byte is in which two strings of one length differ; None if that is not so."""
    places = [place for place, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b]
    return places[0] if len(places) == 1 else None
