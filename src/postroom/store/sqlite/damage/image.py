"""A copy of a store's file in which everything known is put together, page by page."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .. import db
from ..db import Db
from .rot import Damage
from .wal import FRAME, Edit, Frame

Alternative = dict[int, bytes]
"""What one page, or a page and the one it was taken for, may have been."""


class Image:
    """The file at ``path``: what a damaged store would be if it were closed well.

    ``doubts`` lists for each damaged page how it may have been; ``lost`` are pages that no single
    byte explains. They are empty, which SQLite takes for no page of a table or an index.
    """

    def __init__(self, path: Path, damage: Damage) -> None:
        self.path = path
        self.size = damage.size
        self.mended: list[str] = []
        self.doubts: list[tuple[str, list[Alternative]]] = []
        self.lost: set[int] = set()
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        path.write_bytes(damage.path.read_bytes())
        self._take_log(damage)
        self.length = path.stat().st_size

    def page(self, number: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek((number - 1) * self.size)
            return file.read(self.size)

    def put(self, number: int, page: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek((number - 1) * self.size)
            file.write(page)

    def set(self, choice: Alternative) -> None:
        for number, page in choice.items():
            self.put(number, page)
        os.truncate(self.path, self.length)  # a page number that is wrong lies far behind the end

    @contextmanager
    def reading(self) -> Generator[Db]:
        """A connection that sees this file alone: no log, no locks, nothing written."""
        conn = db.connect(f"{self.path.resolve().as_uri()}?immutable=1", db.READ_ONLY_URI)
        try:
            yield conn
        finally:
            conn.close()

    def _take_log(self, damage: Damage) -> None:
        """Put the newest committed frame of each page over the file."""
        found = damage.log
        if found is None:
            return
        self.mended += found.notes
        log = bytearray(damage.wal)
        for offset, byte in found.edits:
            log[offset] = byte
        frames = [(frame, True) for frame in found.frames] + (found.loose if found.lost else [])
        last = max((n for n, (frame, _) in enumerate(frames) if frame.commit), default=-1)
        newest = {frame.page: n for n, (frame, _) in enumerate(frames[: last + 1])}
        for number, n in newest.items():
            frame, fits = frames[n]
            if not fits:
                self.lost.add(number)
            self.put(number, self._from_log(log, frame) if fits else bytes(self.size))
        for n, edits in found.doubts.items():
            if n <= last:
                what = f"frame {n + 1} of the log had one wrong byte"
                self._doubt(what, [self._alternative(damage, log, newest, n, edit) for edit in edits])
        if last >= 0:
            os.truncate(self.path, frames[last][0].commit * self.size)
        if found.lost:
            self.mended.append(found.lost)

    def _from_log(self, log: bytearray, frame: Frame) -> bytes:
        return bytes(log[frame.offset : frame.offset + self.size])

    def _alternative(
        self, damage: Damage, log: bytearray, newest: dict[int, int], n: int, edit: Edit
    ) -> Alternative:
        """What the file would hold if this byte of frame ``n`` is the wrong one."""
        assert damage.log is not None
        taken = damage.log.frames[n]
        mended = bytearray(log)
        mended[edit.offset] = edit.byte
        number = int.from_bytes(mended[taken.offset - FRAME :][:4], "big")
        pages: Alternative = {}
        if number != taken.page and newest.get(taken.page) == n:
            earlier = [frame for frame in damage.log.frames[:n] if frame.page == taken.page]
            before = self._from_log(log, earlier[-1]) if earlier else damage.page(taken.page)
            pages[taken.page] = before or bytes(self.size)
        if newest.get(number, -1) <= n:
            pages[number] = self._from_log(mended, taken)
        return pages

    def _doubt(self, what: str, choices: list[Alternative]) -> None:
        """Each choice says of the same pages what they hold, so that any can follow any other."""
        numbers = {number for choice in choices for number in choice}
        unlike: list[Alternative] = []
        for choice in choices:
            whole = {number: choice.get(number) or self.page(number) for number in numbers}
            if whole not in unlike:
                unlike.append(whole)
        self.doubts.append((what, unlike))

    def lose(self, choices: list[Alternative]) -> None:
        """Give up pages of which no choice makes a store."""
        for number in {number for choice in choices for number in choice}:
            self.lost.add(number)
            self.put(number, bytes(self.size))
