"""Latency under arrivals that wait for nobody: a stall is felt by all who were due in it."""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import cast

import msgspec
import pytest
import trio

from postroom import System
from postroom.bench import open_loop
from postroom.bench.open_loop import AckTimes, Passage, arrivals, keep_schedule
from postroom.bench.rows import Params
from postroom.mailbox.ids import id_text
from postroom.store.errors import OutcomeUnknown
from postroom.store.port import Store
from postroom.store.records import Answer, Operation, Settle, Verdict


def numbered(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_a_schedule_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    first, again = arrivals(1000, 1.0, Random(1)), arrivals(1000, 1.0, Random(1))
    assert first == again
    assert first != arrivals(1000, 1.0, Random(2))


def test_a_schedule_keeps_its_rate_its_order_and_its_end() -> None:
    due = arrivals(1000, 10.0, Random(1))
    assert len(due) == pytest.approx(10_000, rel=0.05)
    assert due == sorted(due)
    assert due[-1] < 10.0


def test_gaps_of_a_schedule_vary_as_much_as_they_are_long() -> None:
    gaps = [later - earlier for earlier, later in pairwise(arrivals(1000, 10.0, Random(1)))]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.05)


def test_a_schedule_has_at_least_one_arrival() -> None:
    assert len(arrivals(0.001, 0.1, Random(1))) == 1


def course(due: list[float], sent: list[float], acked: list[float]) -> tuple[Passage, AckTimes]:
    passage, acks = Passage(due), AckTimes()
    passage.began = 0.0
    passage.sent, passage.handled = sent, list(acked)
    passage.ids = [id_text(numbered(n)) for n in range(len(due))]
    acks.at = {numbered(n): at for n, at in enumerate(acked)}
    return passage, acks


def test_a_stall_counts_for_every_message_that_was_due_in_it() -> None:
    # A thousand a second; nothing is sent from 0.1 to 0.6 s, and then all that was due at once.
    due = [n / 1000 for n in range(1000)]
    sent = [0.6 if 0.1 <= at < 0.6 else at for at in due]
    passage, acks = course(due, sent, [at + 0.001 for at in sent])
    detail = passage.measured(acks, 1000, 4000).detail
    # Half of all was due in the stall and waited 250 ms on average; timed from the send, none did.
    assert detail["p99_ms"] == pytest.approx(491, abs=2)
    assert detail["p50_ms"] == pytest.approx(1.0, abs=2)
    assert detail["max_ms"] == pytest.approx(501, abs=1)
    assert detail["driver_late_p99_ms"] == pytest.approx(490, abs=2)


def test_a_driver_that_falls_behind_says_so() -> None:
    due = [n / 1000 for n in range(1, 1001)]
    kept, acks = course(due, due, due)
    assert kept.measured(acks, 1000, 4000).detail["schedule_kept"] == 1.0
    slow, acks = course(due, [at * 1.1 for at in due], [at * 1.1 for at in due])
    assert slow.measured(acks, 1000, 4000).detail["schedule_kept"] == 0.0


def test_a_message_without_a_committed_ack_is_no_sample_but_an_error() -> None:
    passage, acks = course([0.1, 0.2], [0.1, 0.2], [0.1, 0.2])
    del acks.at[numbered(1)]
    with pytest.raises(KeyError):
        passage.measured(acks, 10, 40)


class Scripted:
    """What of a store a transaction needs; it does nothing, and its commits end as the test says."""

    doubt = False

    def begin(self) -> None: ...

    def apply(self, batch: Sequence[Operation]) -> list[Answer]:
        return []

    def commit(self) -> None:
        if self.doubt:
            raise OutcomeUnknown("commit", "the test says so", "")


def settled(number: int, verdict: Verdict = Verdict.ACK) -> Operation:
    return Settle(numbered(number), 1, verdict)


def test_an_ack_is_noted_when_its_commit_has_returned_and_not_before() -> None:
    acks = AckTimes()
    store = acks.watch(cast("Store", Scripted()))
    store.begin()
    store.apply([settled(1), settled(2, Verdict.RETRY)])
    assert acks.at == {}
    store.commit()
    assert set(acks.at) == {numbered(1)}


def test_an_ack_whose_commit_failed_or_was_rolled_back_is_not_noted() -> None:
    acks, inner = AckTimes(), Scripted()
    store = acks.watch(cast("Store", inner))
    store.begin()
    store.apply([settled(1)])
    inner.doubt = True
    with pytest.raises(OutcomeUnknown):
        store.commit()
    inner.doubt = False
    store.begin()
    store.apply([settled(2)])
    store.commit()
    assert set(acks.at) == {numbered(2)}


class Slow:
    """An office whose sends take for ever until they are let go."""

    def __init__(self, let_go: trio.Event) -> None:
        self.begun = 0
        self.let_go = let_go

    async def send(self, to: str, message: object) -> str:
        self.begun += 1
        await self.let_go.wait()
        return "x"


async def test_sends_begin_when_they_are_due_though_none_before_has_returned(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "perf_counter", trio.current_time)
    let_go = trio.Event()
    office, passage = Slow(let_go), Passage([0.1, 0.2, 5.0])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_schedule, cast("System", office), passage, "")
        await trio.sleep(1.0)
        assert office.begun == 2
        await trio.sleep(5.0)
        assert office.begun == 3
        let_go.set()
    assert passage.sent == pytest.approx([0.1, 0.2, 5.0])


async def test_a_late_driver_leaves_nothing_out(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: Iterator[float] = iter([0.0, 0.0, 0.1, *[9.0] * 20])
    monkeypatch.setattr(time, "perf_counter", lambda: next(readings))
    let_go = trio.Event()
    let_go.set()
    office, passage = Slow(let_go), Passage([0.1, 0.2, 0.3, 0.4])
    await keep_schedule(cast("System", office), passage, "")
    assert office.begun == 4
    assert passage.ids == ["x"] * 4


def test_a_row_counts_from_due_to_durable_and_to_the_start_of_the_turn(tmp_path: Path) -> None:
    params = Params(directory=str(tmp_path), senders=4, seconds=0.6)
    measured = open_loop.open_loop(0.5)(params)
    detail = measured.detail
    assert measured.value == detail["p99_ms"]
    assert detail["asked_per_s"] == pytest.approx(detail["closed_loop_per_s"] / 2)
    assert 0 < detail["start_p50_ms"] <= detail["p50_ms"] <= detail["p99_ms"] <= detail["p999_ms"]
    assert detail["samples"] > 1
    assert msgspec.json.decode(msgspec.json.encode(measured))["value"] == measured.value
