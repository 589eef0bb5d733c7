"""Reading a write-ahead log without SQLite, to tell damage from a torn end.

SQLite takes the first frame whose sum does not fit for the end of the log, so one wrong byte drops
every commit after it without a word. Each commit is synced before the next is written
(``synchronous=FULL``). A frame that continues the sum of a commit frame therefore proves that this
commit, and all before it, was safe on the disk: if a frame before it does not fit, it has been
damaged since. Without such a proof a frame that does not fit is what a power cut leaves behind,
unless a single byte explains it: then both readings allow to put that byte right, because an
unacknowledged commit may be kept.

The format is that of https://sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from msgspec import Struct as Record
from msgspec import field

from .sums import START, Sum, add_up, corrections, one_byte_off

HEADER = 32
FRAME = 24
MAGIC = 0x377F0682  # the lowest bit says that sums read words big-endian
VERSION = 3007000
_HEADER = Struct(">8I")
_FRAME = Struct(">6I")
_SUM = Struct(">2I")


class Edit(NamedTuple):
    """One byte to put right: where in the file, and its value."""

    offset: int
    byte: int


class Frame(NamedTuple):
    """One accepted frame: the page it holds and where in the file the page's bytes begin."""

    page: int
    offset: int
    commit: int  # size of the database in pages after the commit, 0 where none ends here


class Scan(Record):
    """What a log holds.

    ``frames`` are those that fit, or fit once ``edits`` are made, in order. ``doubts`` are places
    where one byte is wrong but several would explain it: each is a list of edits to choose from, by
    the number of the frame. ``lost`` says in words what no edit puts right; then ``frames`` ends
    before it although acknowledged commits follow; ``loose`` are the frames from there on, and whether
    each continues the one before it.
    """

    page_size: int = 0
    salt: bytes = b""
    frames: list[Frame] = field(default_factory=list[Frame])
    edits: list[Edit] = field(default_factory=list[Edit])
    notes: list[str] = field(default_factory=list[str])
    doubts: dict[int, list[Edit]] = field(default_factory=dict[int, list[Edit]])
    lost: str = ""
    loose: list[tuple[Frame, bool]] = field(default_factory=list[tuple[Frame, bool]])

    @property
    def sound(self) -> bool:
        return not (self.edits or self.doubts or self.lost)

    def committed(self) -> list[Frame]:
        """The frames up to the last commit."""
        last = max((n for n, frame in enumerate(self.frames) if frame.commit), default=-1)
        return self.frames[: last + 1]

    def pages(self) -> dict[int, Frame]:
        """The newest committed frame of each page."""
        return {frame.page: frame for frame in self.committed()}


def scan(log: bytes, page_size: int) -> Scan:
    """Look through a log of a database whose pages have ``page_size`` bytes."""
    if len(log) < HEADER + FRAME + page_size:
        return Scan()  # not one whole frame: nothing was committed in it
    header = _header(log, page_size)
    found = Scan(page_size=page_size)
    if header is None:
        reader = _Reader(log, page_size, log[HEADER + 8 : HEADER + 16], bool(log[3] & 1), found)
        reader.adopt_frames_without_header()
        return found
    data, edits = header
    found.edits = edits
    found.notes = ["the log's header had one wrong byte" for _ in edits]
    _Reader(log, page_size, data[16:24], bool(data[3] & 1), found).read(_SUM.unpack(data[24:32]))
    return found


def _header(log: bytes, page_size: int) -> tuple[bytes, list[Edit]] | None:
    """The log's header, put right if one byte is wrong in it; None if it cannot be."""
    header = log[:HEADER]
    if _header_fits(header, page_size):
        return header, []
    candidates: list[tuple[bytes, list[Edit]]] = []
    for offset in range(HEADER):
        for byte in range(256):
            mended = header[:offset] + bytes((byte,)) + header[offset + 1 :]
            if _header_fits(mended, page_size) and _first_frame_fits(log, mended, page_size):
                candidates.append((mended, [Edit(offset, byte)]))
    # The first frame is summed from the header's sum, so what it fits to is the header it was written with.
    return candidates[0] if len(candidates) == 1 else None


def _header_fits(header: bytes, page_size: int) -> bool:
    magic, version, size, _, _, _, s0, s1 = _HEADER.unpack(header)
    return (
        magic & ~1 == MAGIC
        and version == VERSION
        and size == page_size
        and add_up(START, header[:24], big=bool(magic & 1)) == (s0, s1)
    )


def _first_frame_fits(log: bytes, header: bytes, page_size: int) -> bool:
    frame = log[HEADER : HEADER + FRAME + page_size]
    if frame[8:16] != header[16:24]:
        return False
    summed = add_up(_SUM.unpack(header[24:32]), frame[:8] + frame[FRAME:], big=bool(header[3] & 1))
    return summed == _SUM.unpack(frame[16:24])


class _Reader:
    """One pass over the frames of a log."""

    def __init__(self, log: bytes, page_size: int, salt: bytes, big: bool, found: Scan) -> None:
        self.log = log
        self.size = FRAME + page_size
        self.count = (len(log) - HEADER) // self.size
        self.salt = salt
        self.big = big
        self.found = found
        found.salt = salt

    def head(self, n: int) -> bytes:
        start = HEADER + n * self.size
        return self.log[start : start + FRAME]

    def summed(self, n: int) -> bytes:
        """What the sum of a frame runs over."""
        start = HEADER + n * self.size
        return self.log[start : start + 8] + self.log[start + FRAME : start + self.size]

    def stored(self, n: int) -> Sum:
        """The sum that a frame says it ends with."""
        s0, s1 = _SUM.unpack(self.head(n)[16:24])
        return s0, s1

    def ours(self, n: int) -> bool:
        return n < self.count and self.head(n)[8:16] == self.salt

    def follows(self, n: int, before: Sum) -> bool:
        """Whether a frame was written in this log after one that ended with the sum ``before``."""
        return self.ours(n) and add_up(before, self.summed(n), big=self.big) == self.stored(n)

    def take(self, n: int, edits: tuple[Edit, ...] = ()) -> None:
        head = bytearray(self.head(n))
        start = HEADER + n * self.size
        for offset, byte in edits:
            if offset - start < FRAME:
                head[offset - start] = byte
        page, commit, *_ = _FRAME.unpack(head)
        self.found.frames.append(Frame(page, start + FRAME, commit))

    def read(self, before: Sum) -> None:
        """Follow the frames from the sum that the header ends with."""
        for n in range(self.count):
            if self.follows(n, before):
                self.take(n)
                before = self.stored(n)
                continue
            choices = self.explain(n, before)
            if not choices or not self.matters(n, choices):
                self.found.lost = self.proof(n)
                if self.found.lost:
                    self.found.loose = [(self.loose(n), False)]
                    self.found.loose += [
                        (self.loose(k), self.follows(k, self.stored(k - 1)))
                        for k in range(n + 1, self.count)
                        if self.ours(k)
                    ]
                return
            self.take(n, tuple(choices[:1]) if len(choices) == 1 else ())
            if len(choices) == 1:
                self.found.edits.append(choices[0])
                self.found.notes.append(f"frame {n + 1} of the log had one wrong byte")
            else:
                self.found.doubts[n] = choices
            before = self.sum_after(n, before, choices)

    def loose(self, n: int) -> Frame:
        page, commit, *_ = _FRAME.unpack(self.head(n))
        return Frame(page, HEADER + n * self.size + FRAME, commit)

    def explain(self, n: int, before: Sum) -> list[Edit]:
        """Every single byte which, put right, makes a frame continue the log."""
        start = HEADER + n * self.size
        head = self.head(n)
        actual = add_up(before, self.summed(n), big=self.big)
        stored = self.stored(n)
        if not self.ours(n):
            place = one_byte_off(head[8:16], self.salt)
            return (
                [Edit(start + 8 + place, self.salt[place])] if place is not None and actual == stored else []
            )
        choices = [
            Edit(start + (offset if offset < 8 else offset - 8 + FRAME), byte)
            for offset, byte in corrections(self.summed(n), before, stored, big=self.big)
        ]
        place = one_byte_off(head[16:24], _SUM.pack(*actual))
        if place is None:
            return choices
        if choices and self.ours(n + 1):
            # Either the sum is wrong or what it is of: the next frame continues from the true sum.
            return (
                choices
                if self.follows(n + 1, stored)
                else [Edit(start + 16 + place, _SUM.pack(*actual)[place])]
            )
        return [*choices, Edit(start + 16 + place, _SUM.pack(*actual)[place])]

    def sum_after(self, n: int, before: Sum, choices: list[Edit]) -> Sum:
        """The sum that a frame ends with once it is put right."""
        start = HEADER + n * self.size
        if any(16 <= offset - start < FRAME for offset, _ in choices):
            return add_up(before, self.summed(n), big=self.big)
        return self.stored(n)

    def matters(self, n: int, choices: list[Edit]) -> bool:
        """Whether a commit depends on a frame: what was never committed may be dropped."""
        start = HEADER + n * self.size
        touches_commit = any(4 <= offset - start < 8 for offset, _ in choices)
        if touches_commit or _FRAME.unpack(self.head(n))[1]:
            return True
        for k in range(n + 1, self.count):
            if not self.ours(k) or (k > n + 1 and not self.follows(k, self.stored(k - 1))):
                return False  # wrong in more than one place: a transaction whose writing was cut off
            if _FRAME.unpack(self.head(k))[1]:
                return True
        return False

    def proof(self, n: int) -> str:
        """In words, what proves that commits from frame ``n`` on were safe; nothing if nothing does."""
        for k in range(n, self.count - 1):
            if not (self.ours(k) and self.ours(k + 1)):
                continue
            mine, next_ = _FRAME.unpack(self.head(k)), _FRAME.unpack(self.head(k + 1))
            repeated = mine[:2] == next_[:2]  # the same commit once more, to fill a sector
            if mine[1] and not repeated and self.follows(k + 1, self.stored(k)):
                return f"frame {n + 1} of the log does not fit, and commits that were safe come after it"
        return ""

    def adopt_frames_without_header(self) -> None:
        """Take the frames that continue one another; the first cannot be checked without the header."""
        if not self.count:
            return
        before = self.stored(0)
        self.found.loose.append((self.loose(0), False))
        for n in range(1, self.count):
            if not self.follows(n, before):
                break
            before = self.stored(n)
            self.found.loose.append((self.loose(n), True))
        self.found.lost = "the header of the log does not fit, and there are frames behind it"


def apply(log: bytes, edits: list[Edit]) -> bytes:
    """A log with bytes put right."""
    mended = bytearray(log)
    for offset, byte in edits:
        mended[offset] = byte
    return bytes(mended)
