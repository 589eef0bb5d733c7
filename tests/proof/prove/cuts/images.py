"""What a disk may hold after the power went: what was synced, and of the rest whatever it pleases.

A disk keeps each file's bytes as of the file's last sync, and the changes since, which a cut may keep
in whole, in part, torn, or not at all. Names are entries of the directory and have a sync of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from random import Random

from msgspec import Struct, field
from prove.cuts.recording import (
    DirectorySynced,
    Event,
    Left,
    Linked,
    Renamed,
    Synced,
    Truncated,
    Unlinked,
    Wrote,
)

SECTOR = 512
Image = dict[str, bytes]
"""The files of the directory, by name."""


class Keep(Enum):
    """What becomes of the writes that no sync has made durable."""

    NONE = "none"
    ALL = "all"
    SOME = "some"
    TORN = "torn"


Change = tuple[int, bytes | None]
"""Bytes at an offset; or, without bytes, the new size of the file."""


class File(Struct, eq=False):
    """One file, whatever its name is."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list[Change])


Entry = Linked | Unlinked | Renamed


class Disk:
    """Plays the events of a recording one after another; can be asked for an image after each."""

    def __init__(self) -> None:
        self._now: dict[str, File] = {}
        self._kept: dict[str, File] = {}
        self._moves: list[tuple[Entry, File | None]] = []
        self.unsynced = False

    def play(self, event: Event) -> bool:
        """Let one event happen; answers whether it changes what any image holds."""
        match event:
            case Wrote(name, offset, data):
                self._now[name].pending.append((offset, data))
            case Truncated(name, size):
                self._now[name].pending.append((size, None))
            case Synced(name):
                file = self._now[name]
                _apply(file.synced, file.pending)
                file.pending = []
            case Linked() | Unlinked() | Renamed():
                made = File() if isinstance(event, Linked) else None
                self._moves.append((event, made))
                _move(self._now, event, made)
            case DirectorySynced():
                self._kept = dict(self._now)
                self._moves = []
            case Left(files):
                self._now = {name: File(bytearray(content)) for name, content in files.items()}
                self._kept = dict(self._now)
                self._moves = []
            case _:
                return False
        self.unsynced = bool(self._moves) or any(file.pending for file in self._now.values())
        return True

    def image(self, keep: Keep, rng: Random) -> Image:
        """The files that are found after the power comes back."""
        if keep is Keep.NONE:
            return {name: bytes(file.synced) for name, file in self._kept.items()}
        if keep is Keep.ALL:
            return {name: _content(file, file.pending) for name, file in self._now.items()}
        files = dict(self._kept)
        for entry, made in self._some_moves(rng):
            _move(files, entry, made)
        choose = _some if keep is Keep.SOME else _torn
        return {name: _content(file, choose(file.pending, rng)) for name, file in files.items()}

    def _some_moves(self, rng: Random) -> Iterable[tuple[Entry, File | None]]:
        """Mostly the first of them, as a journalling file system does; now and then any."""
        if rng.random() < 0.7:
            return self._moves[: rng.randint(0, len(self._moves))]
        return [move for move in self._moves if rng.random() < 0.5]


def _move(files: dict[str, File], entry: Entry, made: File | None) -> None:
    match entry:
        case Linked(name):
            assert made is not None
            files[name] = made
        case Unlinked(name):
            files.pop(name, None)
        case Renamed(name, to):
            if name in files:
                files[to] = files.pop(name)


def _content(file: File, changes: Iterable[Change]) -> bytes:
    content = bytearray(file.synced)
    _apply(content, changes)
    return bytes(content)


def _apply(content: bytearray, changes: Iterable[Change]) -> None:
    for at, data in changes:
        if len(content) < at:
            content.extend(bytes(at - len(content)))
        if data is None:
            del content[at:]
        else:
            content[at : at + len(data)] = data


def _some(changes: list[Change], rng: Random) -> list[Change]:
    """Any of the changes, in any order."""
    chosen = [change for change in changes if rng.random() < 0.5]
    if rng.random() < 0.5:
        rng.shuffle(chosen)
    return chosen


def _torn(changes: list[Change], rng: Random) -> list[Change]:
    """Any of the changes, and some of those only in part: behind the cut the old bytes stay."""
    found: list[Change] = []
    for at, data in changes:
        fate = rng.random()
        if fate < 0.2:
            continue
        if fate < 0.5 or data is None or len(data) < 2:
            found.append((at, data))
        elif fate < 0.65:
            found.append((at, data[: rng.randrange(1, len(data))]))
        elif fate < 0.8:
            found.append((at, data[: SECTOR * rng.randint(0, len(data) // SECTOR)]))
        else:
            found += _sectors(at, data, rng)
    return found


def _sectors(at: int, data: bytes, rng: Random) -> list[Change]:
    """Any of the sectors that a write touches."""
    found: list[Change] = []
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (at + start) % SECTOR)
        if rng.random() < 0.5:
            found.append((at + start, data[start:end]))
        start = end
    return found
