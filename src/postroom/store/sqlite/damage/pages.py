"""Checksums on the pages of a store's file: SQLite's own checksum VFS, and the same sum without it.

The VFS keeps a sum in the last 8 bytes of each page and refuses a page that does not fit, so rotten
mail is never served. It is told by byte 20 of the file, which may itself be damaged; the first page
is therefore checked here before SQLite reads it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from struct import Struct

import apsw
from msgspec import Struct as Record

from .sums import START, Sum, add_up, corrections, one_byte_off, stands_out

RESERVED = 8
PAGE_SIZE = 4096
MAGIC = b"SQLite format 3\0"
APPLICATION = b"post"  # what a store has at byte 68
_SUM = Struct("<2I")
_LIBRARIES = Path(apsw.__file__).with_name("sqlite_extra_binaries")


@cache
def load_checksums() -> bool:
    """Put the checksum VFS over the default one, once in a process; False where apsw comes without.

    Opening the library by its place costs half a millisecond; asking ``apsw.sqlite_extra`` for the
    place costs twenty.
    """
    library = next(_LIBRARIES.glob("cksumvfs.*"), None)
    if library is None:
        return False
    conn = apsw.Connection(":memory:")
    try:
        conn.enable_load_extension(True)
        conn.load_extension(str(library))
    finally:
        conn.close()
    return True


def stored_sum(page: bytes) -> Sum:
    """The sum that a page says it has."""
    s0, s1 = _SUM.unpack(page[-RESERVED:])
    return s0, s1


def fits(page: bytes) -> bool:
    """Whether a page has the sum that it says it has."""
    return add_up(START, page[:-RESERVED]) == stored_sum(page)


def mendings(page: bytes) -> list[tuple[int, int]]:
    """Every (offset, byte) which alone makes a page fit; one that stands out excludes the others."""
    choices = corrections(page[:-RESERVED], START, stored_sum(page))
    actual = _SUM.pack(*add_up(START, page[:-RESERVED]))
    place = one_byte_off(page[-RESERVED:], actual)
    if place is not None:
        choices.append((len(page) - RESERVED + place, actual[place]))
    standing_out = [choice for choice in choices if stands_out(page, *choice)]
    return standing_out if len(standing_out) == 1 else choices


class FirstPage(Record):
    """What the first page says of the whole file.

    ``mended`` is the page as it was written, ``fault`` what is wrong with it in words. A page that
    is no store's at all has no fault: SQLite says what it is.
    """

    protected: bool
    size: int
    fault: str = ""
    mended: bytes | None = None


def look_at_first(page: bytes) -> FirstPage:
    """Judge the first ``PAGE_SIZE`` bytes of a file."""
    sound = _header_sound(page)
    if sound and page[20] == 0 and not _was_protected(page):
        return FirstPage(protected=False, size=_size(page))
    if sound and page[20] == RESERVED and _size(page) == PAGE_SIZE and fits(page):
        return FirstPage(protected=True, size=PAGE_SIZE)
    if len(page) < PAGE_SIZE:
        return FirstPage(protected=False, size=PAGE_SIZE)
    choices = {edit for edit in mendings(page) if _is_store(_edited(page, edit))}
    if len(choices) == 1:
        mended = _edited(page, choices.pop())
        return FirstPage(True, PAGE_SIZE, "one byte of its first page is wrong", mended)
    if choices or page[68:72] == APPLICATION or (sound and page[20] == RESERVED):
        return FirstPage(True, PAGE_SIZE, "its first page does not have the sum it was written with")
    return FirstPage(protected=False, size=_size(page) if sound else PAGE_SIZE)


def _edited(page: bytes, edit: tuple[int, int]) -> bytes:
    offset, byte = edit
    return page[:offset] + bytes((byte,)) + page[offset + 1 :]


def _size(page: bytes) -> int:
    size = int.from_bytes(page[16:18], "big")
    return 65536 if size == 1 else size


def _header_sound(page: bytes) -> bool:
    """Whether the fixed parts of the file header are as SQLite writes them."""
    size = _size(page) if len(page) >= 100 else 0
    return (
        page[:16] == MAGIC
        and 512 <= size <= 65536
        and size & (size - 1) == 0
        and page[18:20] in (b"\1\1", b"\2\2")
        and page[21:24] == b"\x40\x20\x20"
    )


def _is_store(page: bytes) -> bool:
    return _header_sound(page) and page[20] == RESERVED and page[68:72] in (APPLICATION, b"\0\0\0\0")


def _was_protected(page: bytes) -> bool:
    """Whether only the byte that tells of the sums is wrong."""
    return len(page) >= PAGE_SIZE and fits(_edited(page[:PAGE_SIZE], (20, RESERVED)))
