"""Choosing between bytes that explain a damaged log frame equally well, by what else is in the files.

Sums alone cannot always tell which byte is wrong. Most frames do not matter, because a later frame
replaces the page; for others, the versions of the page before and after show which bytes are right.
"""

from __future__ import annotations

from collections.abc import Callable

from .sums import stands_out
from .wal import FRAME, Edit, Frame, Scan

PageOf = Callable[[int], bytes]
"""The bytes of a page in the database file; empty where the file has no such page."""


def settle_doubts(log: bytes, found: Scan, page_of: PageOf) -> None:
    """Turn doubts into edits where the other frames or the database decide."""
    for n, choices in sorted(found.doubts.items()):
        choice = _replaced(log, found, n, choices) or _standing_out(log, found, n, choices)
        choice = choice or _by_neighbours(log, found, n, choices, page_of)
        if choice is None:
            continue
        del found.doubts[n]
        found.edits.append(choice)
        found.notes.append(f"frame {n + 1} of the log had one wrong byte")
        found.frames[n] = _frame_with(log, found.frames[n], choice)


def _frame_with(log: bytes, frame: Frame, edit: Edit) -> Frame:
    start = frame.offset - FRAME
    head = bytearray(log[start : start + 8])
    if edit.offset - start < 8:
        head[edit.offset - start] = edit.byte
    page, commit = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
    return Frame(page, frame.offset, commit)


def _replaced(log: bytes, found: Scan, n: int, choices: list[Edit]) -> Edit | None:
    """Any choice, if later commits replace every page that the frame may hold: then none matters."""
    committed = found.committed()
    later = {frame.page for frame in committed[n + 1 :]}
    ends = any(frame.commit for frame in committed[n + 1 :])
    pages = {_frame_with(log, found.frames[n], choice).page for choice in choices}
    if not (ends and pages <= later):
        return None
    in_page = [choice for choice in choices if choice.offset >= found.frames[n].offset]
    return (in_page or choices)[0]


def _standing_out(log: bytes, found: Scan, n: int, choices: list[Edit]) -> Edit | None:
    """The one choice that mends a run of equal bytes."""
    frame = found.frames[n]
    page = log[frame.offset : frame.offset + found.page_size]
    in_page = [choice for choice in choices if choice.offset >= frame.offset]
    standing = [choice for choice in in_page if stands_out(page, choice.offset - frame.offset, choice.byte)]
    return standing[0] if len(standing) == 1 else None


def _by_neighbours(log: bytes, found: Scan, n: int, choices: list[Edit], page_of: PageOf) -> Edit | None:
    """The one choice that other versions of the page confirm, if they refute all the others."""
    frame = found.frames[n]
    start = frame.offset - FRAME
    if any(choice.offset - start < FRAME for choice in choices):
        return None
    others = _versions(log, found, n, page_of)
    confirmed: list[Edit] = []
    for choice in choices:
        place = choice.offset - frame.offset
        seen = {page[place] for page in others}
        if choice.byte in seen:
            confirmed.append(choice)
        if log[choice.offset] not in seen and choice.byte not in seen:
            return None  # nothing is known of this place
    return confirmed[0] if len(confirmed) == 1 else None


def _versions(log: bytes, found: Scan, n: int, page_of: PageOf) -> list[bytes]:
    """The versions of a frame's page next before and after it."""
    page = found.frames[n].page
    frames = found.frames
    before = next((frames[k] for k in range(n - 1, -1, -1) if frames[k].page == page), None)
    after = next((frame for frame in frames[n + 1 :] if frame.page == page), None)
    found_pages = [log[f.offset : f.offset + found.page_size] for f in (before, after) if f is not None]
    if before is None and (original := page_of(page)):
        found_pages.append(original)
    return found_pages
