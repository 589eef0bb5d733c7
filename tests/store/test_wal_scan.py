"""Reading a log without SQLite: what is damage, what is a torn end, and which byte it was."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from struct import iter_unpack

import apsw
import pytest

from postroom.store.sqlite.damage.sums import MASK, Sum, add_up, corrections
from postroom.store.sqlite.damage.wal import FRAME, HEADER, Edit, apply, scan

PAGE = 4096
WHOLE = FRAME + PAGE


def plain_sum(start: Sum, data: bytes, order: str) -> Sum:
    s0, s1 = start
    for a, b in iter_unpack(f"{order}II", data):
        s0 = (s0 + a + s1) & MASK
        s1 = (s1 + b + s0) & MASK
    return s0, s1


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A log of twelve commits, each of a few frames."""
    path = tmp_path_factory.mktemp("log") / "some.db"
    conn = apsw.Connection(str(path))
    conn.pragma("journal_mode", "wal")
    conn.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
    rng = Random(1)
    for _ in range(11):
        conn.execute("INSERT INTO t (b) VALUES (?)", (rng.randbytes(3000),))
    found = Path(f"{path}-wal").read_bytes()
    conn.close()
    return found


def at(frame: int, offset: int) -> int:
    return HEADER + frame * WHOLE + offset


def changed(log: bytes, *edits: tuple[int, int]) -> bytes:
    return apply(log, [Edit(*edit) for edit in edits])


def flips(log: bytes, rng: Random, begin: int, end: int, count: int) -> Iterator[tuple[int, int, bytes]]:
    for _ in range(count):
        place = rng.randrange(begin, end)
        yield place, log[place], changed(log, (place, log[place] ^ 1 << rng.randrange(8)))


@pytest.mark.parametrize("size", [8, 504, 512, 520, 4088, 4096, 4104])
def test_the_fast_sum_is_the_sum_word_by_word(size: int) -> None:
    rng = Random(size)
    data = rng.randbytes(size)
    start = rng.getrandbits(32), rng.getrandbits(32)
    assert add_up(start, data) == plain_sum(start, data, "<")
    assert add_up(start, data, big=True) == plain_sum(start, data, ">")


def test_the_wrong_byte_is_always_among_the_corrections() -> None:
    rng = Random(2)
    data = rng.randbytes(4088)
    wanted = add_up((1, 2), data)
    for place, old, wrong in flips(data, rng, 0, len(data), 60):
        assert (place, old) in corrections(wrong, (1, 2), wanted)


def test_a_log_that_sqlite_wrote_is_sound_and_every_commit_is_seen(log: bytes) -> None:
    found = scan(log, PAGE)
    assert found.sound
    assert sum(1 for frame in found.frames if frame.commit) == 12
    assert found.committed() == found.frames


@pytest.mark.parametrize("part", [(0, HEADER), (HEADER, HEADER + FRAME), (at(5, 0), at(5, FRAME))])
def test_any_byte_of_a_header_is_put_right_exactly(log: bytes, part: tuple[int, int]) -> None:
    for place, old, wrong in flips(log, Random(3), *part, 30):
        found = scan(wrong, PAGE)
        told = found.edits or [choice for choices in found.doubts.values() for choice in choices]
        assert (place, old) in told, place
        assert not found.lost


def test_one_wrong_byte_never_hides_the_commits_after_it(log: bytes) -> None:
    whole = len(scan(log, PAGE).frames)
    for place, old, wrong in flips(log, Random(4), HEADER, len(log), 60):
        found = scan(wrong, PAGE)
        assert len(found.frames) == whole
        told = found.edits or [choice for choices in found.doubts.values() for choice in choices]
        assert (place, old) in told


def test_a_log_that_ends_anywhere_has_a_torn_end_and_no_damage(log: bytes) -> None:
    rng = Random(5)
    for _ in range(40):
        found = scan(log[: rng.randrange(len(log))], PAGE)
        assert found.sound


def test_a_last_commit_of_which_anything_is_missing_is_a_torn_end(log: bytes) -> None:
    frames = scan(log, PAGE).frames
    last = max(n for n, frame in enumerate(frames[:-1]) if frame.commit) + 1
    rng = Random(6)
    for _ in range(40):
        begin = rng.randrange(at(last, 0), len(log) - 600)
        torn = log[:begin] + rng.randbytes(600) + log[begin + 600 :]
        found = scan(torn, PAGE)
        assert found.sound
        assert len(found.committed()) == last


def test_damage_before_a_commit_that_was_safe_is_told_and_not_taken_for_the_end(log: bytes) -> None:
    rng = Random(7)
    frames = scan(log, PAGE).frames
    commits = [n for n, frame in enumerate(frames) if frame.commit]
    for before, _ in pairwise(commits[:-1]):
        begin = at(before, FRAME + 100)
        found = scan(log[:begin] + rng.randbytes(300) + log[begin + 300 :], PAGE)
        assert "does not fit" in found.lost
        assert len(found.frames) == before


def test_frames_of_an_older_log_behind_a_newer_one_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    conn = apsw.Connection(str(path))
    conn.pragma("journal_mode", "wal")
    conn.execute("CREATE TABLE t (a)")
    for n in range(9):
        conn.execute("INSERT INTO t VALUES (?)", (n,))
    conn.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    conn.execute("INSERT INTO t VALUES (9)")
    log = Path(f"{path}-wal").read_bytes()
    found = scan(log, PAGE)
    assert found.sound
    assert len(found.frames) < (len(log) - HEADER) // WHOLE
    conn.close()
