"""The file of a run's events says what the store says, whatever happened to it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scribe import Scribe
from trio.testing import MockClock

from postroom.actors.convoys import events as e
from postroom.actors.convoys.record import ndjson
from postroom.actors.convoys.record.ndjson import Journal, follow, settle, text_of
from postroom.mailbox.doorbell import Bell
from postroom.store.errors import BadInput


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ndjson.NAME


def scribe_of(*sizes: int) -> Scribe:
    scribe = Scribe()
    for size in sizes:
        scribe.write(*(e.TaskAgain(f"t{scribe.events + n}", "me") for n in range(size)))
    return scribe


def content(path: Path) -> bytes:
    return path.read_bytes()


def whole(scribe: Scribe) -> bytes:
    return b"".join(text_of(scribe.store, scribe.run))


def test_each_fact_is_one_line_with_its_number_time_run_and_type(path: Path) -> None:
    scribe = Scribe()
    scribe.write(e.ConvoyStarted(2), e.TaskStarted("a", 1, "local"))
    scribe.write(e.ConvoyPaused('why "so"\nlong\x1b[1m é'))
    settle(scribe.store, "r1", path)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"seq": 1, "at": "1970-01-01T00:16:40.000000Z", "run": "r1", "type": "convoy.started", "tasks": 2},
        {
            "seq": 2,
            "at": "1970-01-01T00:16:40.000000Z",
            "run": "r1",
            "type": "task.started",
            "task": "a",
            "attempt": 1,
            "agent": "local",
            "instead_of": "",
        },
        {
            "seq": 3,
            "at": "1970-01-01T00:16:41.000000Z",
            "run": "r1",
            "type": "convoy.paused",
            "reason": 'why "so"\nlong\x1b[1m é',
        },
    ]


def test_settling_again_adds_only_what_is_new(path: Path) -> None:
    scribe = scribe_of(2, 1)
    settle(scribe.store, "r1", path)
    before = path.stat().st_ino
    settle(scribe.store, "r1", path)
    scribe.write(e.ConvoyPaused("x"))
    settle(scribe.store, "r1", path)
    assert path.read_bytes() == whole(scribe)
    assert path.stat().st_ino == before


def test_a_run_without_facts_has_an_empty_file(path: Path) -> None:
    settle(Scribe().store, "r1", path)
    assert path.read_bytes() == b""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.integers(1, 4), max_size=6), st.integers(0, 5), st.data())
def test_a_file_that_was_cut_anywhere_is_completed_exactly(
    tmp_path: Path, sizes: list[int], more: int, data: st.DataObject
) -> None:
    path = tmp_path / "cut.ndjson"
    scribe = scribe_of(*sizes)
    text = whole(scribe)
    path.write_bytes(text[: data.draw(st.integers(0, len(text)))])
    scribe.write(*(e.TaskAgain("new", "me") for _ in range(more)))
    settle(scribe.store, "r1", path)
    assert path.read_bytes() == whole(scribe)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_file_that_was_changed_anywhere_is_written_anew(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "changed.ndjson"
    scribe = scribe_of(2, 3, 1)
    text = bytearray(whole(scribe))
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(text)
    settle(scribe.store, "r1", path)
    assert path.read_bytes() == whole(scribe)


@pytest.mark.parametrize("excess", [b'{"seq":7}\n', b"\0" * 4096 + b"\n", b"words\n\n"])
def test_lines_that_the_store_has_not_do_not_stay(path: Path, excess: bytes) -> None:
    scribe = scribe_of(6)
    path.write_bytes(whole(scribe) + excess)
    settle(scribe.store, "r1", path)
    assert path.read_bytes() == whole(scribe)


def test_a_file_of_another_run_is_written_anew(path: Path) -> None:
    scribe = scribe_of(3)
    path.write_bytes(whole(scribe).replace(b'"run":"r1"', b'"run":"r2"'))
    settle(scribe.store, "r1", path)
    assert path.read_bytes() == whole(scribe)


def test_a_line_that_is_missing_far_from_the_end_is_noticed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson, "UNSURE", 256)
    scribe = scribe_of(*[3] * 20)
    lines = whole(scribe).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    settle(scribe.store, "r1", path)
    assert path.read_bytes() == whole(scribe)


# Whose file it is


def test_only_its_owner_may_read_it(path: Path) -> None:
    scribe = scribe_of(1)
    settle(scribe.store, "r1", path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    settle(scribe.store, "r1", path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("content", [b"mine\n", b"mine, and no end of line", b""])
def test_a_link_in_its_place_is_replaced_and_leads_nowhere(
    path: Path, tmp_path: Path, link: Callable[[Path, Path], None], content: bytes
) -> None:
    other = tmp_path / "other"
    other.write_bytes(content)
    other.chmod(0o644)
    link(other, path)
    scribe = scribe_of(2)
    settle(scribe.store, "r1", path)
    assert other.read_bytes() == content
    assert other.stat().st_mode & 0o777 == 0o644
    assert not path.is_symlink()
    assert path.read_bytes() == whole(scribe)


def test_a_pipe_in_its_place_holds_nobody_up(path: Path) -> None:
    os.mkfifo(path)
    scribe = scribe_of(2)
    settle(scribe.store, "r1", path)
    assert path.read_bytes() == whole(scribe)


def test_a_folder_in_its_place_is_told(path: Path) -> None:
    path.mkdir()
    with pytest.raises(BadInput, match="cannot write"):
        settle(Scribe().store, "r1", path)


# Following


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time does not wait for threads, so what would be done in one is done at once."""

    async def at_once(work: Callable[..., None], *arguments: object) -> None:
        await trio.lowlevel.checkpoint()
        work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize("rung", [True, False])
async def test_what_is_committed_is_written_soon_although_no_bell_may_be_rung(
    path: Path, rung: bool, autojump_clock: MockClock
) -> None:
    scribe, bell = scribe_of(2), Bell()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, scribe.store, "r1", path, bell)
        await trio.sleep(0.01)
        assert content(path) == whole(scribe)
        scribe.write(e.ConvoyPaused("x"))
        assert content(path) != whole(scribe)
        if rung:
            bell.ring()
        await trio.sleep(2 * ndjson.GATHER_SECONDS + (0 if rung else ndjson.LOOK_SECONDS))
        assert content(path) == whole(scribe)
        nursery.cancel_scope.cancel()


def counted(calls: list[str], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def counting(*arguments: object) -> Any:
        calls.append(name)
        return call(*arguments)

    return counting


def test_a_batch_is_written_once_and_made_durable_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scribe = scribe_of(*[5] * 100)
    journal = Journal(scribe.store, "r1", path)
    calls: list[str] = []
    for name in ("write", "fsync"):
        monkeypatch.setattr(os, name, counted(calls, name, getattr(os, name)))
    for batch in journal.batches():
        journal.append(batch)
    journal.close()
    assert calls == ["write", "fsync"]
    assert path.read_bytes() == whole(scribe)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 400)), min_size=1, max_size=8))
def test_a_process_that_dies_in_the_middle_of_any_write_leaves_nothing_out_and_nothing_twice(
    tmp_path: Path, lives: list[tuple[int, int]]
) -> None:
    path = tmp_path / f"died.{next(_numbers)}.ndjson"
    scribe = Scribe()
    for size, written in lives:
        scribe.write(*(e.TaskAgain("t", "me") for _ in range(size)))
        journal = Journal(scribe.store, "r1", path)
        for batch in journal.batches():
            journal.append(batch[:written])
            break
        journal.close()
        assert whole(scribe).startswith(path.read_bytes())
    settle(scribe.store, "r1", path)
    assert path.read_bytes() == whole(scribe)


_numbers = count()
