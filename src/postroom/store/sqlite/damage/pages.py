"""The header of a store's file: what it says of the whole, and what in it cannot be as it is.

SQLite would take some wrong bytes there for settings and write by them. A store that is put together
from other settings by a foreign program is refused as well; a repair copies it into a new file.
"""

from __future__ import annotations

from struct import Struct

HEAD = 100
"""Bytes of the file header, see sqlite.org/fileformat2.html#the_database_header."""

USUAL_SIZE = 4096
APPLICATION = slice(68, 72)
VERSION = slice(60, 64)
OURS = b"post"
_NUMBER = Struct(">I")

FIXED = {
    "its first bytes": (0, b"SQLite format 3\0"),
    "the space kept free on each page": (20, b"\0"),
    "the payload fractions": (21, b"\x40\x20\x20"),
    "the schema format": (44, b"\0\0\0\4"),
    "the largest root page": (52, bytes(4)),
    "the text encoding": (56, b"\0\0\0\1"),
    "the vacuum mode": (64, bytes(4)),
}
"""What every store has in its header, by place."""

WRONG = "its header is wrong: "
CHOSEN = {
    f"{WRONG}{what}"
    for what in ("the space kept free on each page", "the largest root page", "the vacuum mode")
}
"""What a foreign program may have chosen otherwise when it put a whole file together anew."""


def page_size(head: bytes, file_size: int) -> int:
    """The size of the pages by the header of a file; the usual one where the header cannot be right."""
    size = _stated_size(head)
    if _pages(head) * size != file_size == _pages(head) * USUAL_SIZE:
        return USUAL_SIZE
    return size or USUAL_SIZE


def header_faults(head: bytes, file_size: int) -> list[str]:
    """What in the header of a store is not as it was written; nothing is said of another's file."""
    if len(head) < HEAD or head[APPLICATION] != OURS:
        return []
    faults = [what for what, (at, value) in FIXED.items() if head[at : at + len(value)] != value]
    if not _stated_size(head):
        faults.append("the page size")
    if head[18:20] not in (b"\1\1", b"\2\2"):
        faults.append("the file format")
    if _counted(head) and _pages(head) * _stated_size(head) != file_size:
        faults.append("the number or size of its pages")
    return [f"{WRONG}{what}" for what in faults]


def mended_header(page: bytes, file_size: int) -> bytes:
    """A first page whose header has what every store's has."""
    head = bytearray(page)
    for at, value in FIXED.values():
        head[at : at + len(value)] = value
    size = page_size(page, file_size)
    head[16:18] = (1 if size == 65536 else size).to_bytes(2, "big")
    if page[18:20] != b"\1\1":
        head[18:20] = b"\2\2"
    if _counted(page):
        head[28:32] = _NUMBER.pack(file_size // size)
    return bytes(head)


def _stated_size(head: bytes) -> int:
    """The size of the pages as it is written, 0 where that is none."""
    size = int.from_bytes(head[16:18], "big")
    size = 65536 if size == 1 else size
    return size if 512 <= size <= 65536 and size & (size - 1) == 0 else 0


def _counted(head: bytes) -> bool:
    """Whether SQLite goes by the number of pages in the header."""
    return head[24:28] == head[92:96] and head[28:32] != bytes(4)


def _pages(head: bytes) -> int:
    return int.from_bytes(head[28:32], "big")
