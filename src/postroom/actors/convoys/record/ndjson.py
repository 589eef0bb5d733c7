"""``events.ndjson`` of a run: one line for each fact, derived from the store and never ahead of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import trio

from ....mailbox.doorbell import Bell
from ....store.looking import look
from ....store.port import Store
from . import facts
from .files import open_own, sync_folder, write_whole

NAME = "events.ndjson"
"""The file, in the folder of the run."""

BATCH = 128 * 1024
"""Bytes, about, that are written and made durable at a time."""

UNSURE = 2 * 1024 * 1024
"""Bytes at the end of a file that are compared with the store: more than one batch can have torn."""

LOOK_SECONDS = 1.0
"""How often to look although no bell was rung."""

GATHER_SECONDS = 0.05
"""How long after a bell to wait for more, which is then written at once."""


def lines(run: str, page: Iterable[facts.RawFact]) -> Iterator[bytes]:
    """The lines of these facts: ``seq``, ``at``, ``run``, ``type``, then the fields of the event."""
    at, head = -1.0, ""
    for fact in page:
        if fact.at != at:
            at = fact.at
            head = f'"at":"{facts.iso(at)}","run":{msgspec.json.encode(run).decode()}'
        kind = msgspec.json.encode(fact.type).decode()
        data = bytes(fact.data)
        comma = b"" if data == b"{}" else b","
        yield f'{{"seq":{fact.seq},{head},"type":{kind}'.encode() + comma + data[1:] + b"\n"


def text_of(store: Store, run: str, after: int = 0) -> Iterator[bytes]:
    """All lines after a page, a page at a time."""
    for page in facts.pages(store, run, after):
        yield b"".join(lines(run, page))


class Journal:
    """The file of one run, open at its end. One process at a time may write it: whoever plays the run.

    Opening it mends what a crash has left: a torn last line is cut off, and a file that is not what
    the store says is written anew.
    """

    def __init__(self, store: Store, run: str, path: Path) -> None:
        self._store = store
        self._run = run
        self._path = path
        self._seq = 0
        self._page = 0
        self._file = self._open()

    def batches(self) -> Iterator[bytes]:
        """What the store has and the file has not, in pieces for ``append``."""
        batch: list[bytes] = []
        size = 0
        for page in facts.pages(self._store, self._run, self._page):
            text = b"".join(lines(self._run, (fact for fact in page if fact.seq > self._seq)))
            self._page += 1
            self._seq = page[-1].seq
            batch.append(text)
            size += len(text)
            if size >= BATCH:
                yield b"".join(batch)
                batch, size = [], 0
        if size:
            yield b"".join(batch)

    def append(self, batch: bytes) -> None:
        """Write a batch; it is durable when this returns."""
        rest = memoryview(batch)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _open(self) -> int:
        number = open_own(self._path)
        if number is not None:
            if self._goes_on(number):
                return number
            os.close(number)
        write_whole(self._path, ())
        number = open_own(self._path)
        assert number is not None, "it was written just now"
        self._seq = self._page = 0
        sync_folder(self._path.parent)
        return number

    def _goes_on(self, number: int) -> bool:
        """Cut off a torn line, find the last whole one, and see that the store agrees."""
        size, count = _whole(number)
        os.ftruncate(number, size)
        os.lseek(number, 0, os.SEEK_END)
        if not size:
            return True
        start = max(0, size - UNSURE)
        tail = os.pread(number, size - start, start)
        if start:
            tail = tail[tail.index(b"\n") + 1 :]
        seq = _seq(tail[: tail.index(b"\n")])
        return seq > 0 and self._agrees(tail, seq, count)

    def _agrees(self, tail: bytes, seq: int, count: int) -> bool:
        """Whether the store says the same from ``seq`` on, and the file has a line for each fact."""
        place, number = 0, facts.page_before(self._store, self._run, seq)
        for page in facts.pages(self._store, self._run, number):
            for fact, line in zip(page, lines(self._run, page), strict=True):
                if fact.seq < seq:
                    continue
                if tail[place : place + len(line)] != line:
                    return False
                place += len(line)
                if place == len(tail):
                    self._seq, self._page = fact.seq, number
                    return count == fact.seq
            number += 1
        return False


def settle(store: Store, run: str, path: Path) -> None:
    """Bring the file up to date with the store; all of it is durable when this returns."""
    journal = Journal(store, run, path)
    try:
        for batch in journal.batches():
            journal.append(batch)
    finally:
        journal.close()


async def follow(store: Store, run: str, path: Path, bell: Bell) -> None:
    """Write what is committed, soon after; for ever, until cancelled.

    ``bell`` is for this one alone. Cancelled, the file ends with a whole batch, and ``settle`` adds the rest.
    """
    journal = await look(store, partial(Journal, store, run, path), whole=True)
    try:
        while True:
            batches = journal.batches()
            while (batch := await look(store, partial(next, batches, None))) is not None:
                await trio.to_thread.run_sync(journal.append, batch)
            with trio.move_on_after(LOOK_SECONDS):
                await bell.wait()
            await trio.sleep(GATHER_SECONDS)
    finally:
        journal.close()


def _whole(number: int) -> tuple[int, int]:
    """How many bytes of a file are whole lines, and how many lines these are."""
    size = count = place = 0
    while chunk := os.pread(number, 1 << 20, place):
        count += chunk.count(b"\n")
        last = chunk.rfind(b"\n")
        size = place + last + 1 if last >= 0 else size
        place += len(chunk)
    return size, count


class _Numbered(msgspec.Struct):
    seq: int


def _seq(line: bytes) -> int:
    try:
        return msgspec.json.decode(line, type=_Numbered).seq
    except msgspec.MsgspecError:
        return 0
