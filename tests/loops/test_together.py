"""All operations of a change or none, decided anew if somebody else was quicker."""

from __future__ import annotations

import pytest
from loop_tasks import PASS, Task

from postroom.actors.loops.change import Change, changed
from postroom.actors.loops.evidence import read_evidence
from postroom.actors.loops.iterations import go_on
from postroom.actors.loops.records import history
from postroom.actors.loops.together import together
from postroom.store.clock import ManualClock
from postroom.store.errors import Conflict, InboxEnded, InboxFull, OutcomeUnknown, StoreBusy
from postroom.store.memory import MemoryStore
from postroom.store.records import InboxSpec, Operation, Put, Register, Write
from postroom.store.transact import DEADLINE_SECONDS, transact_one


def test_a_message_that_is_refused_takes_the_record_with_it(task: Task) -> None:
    task.start(iterations=3)
    before, told = task.loop, history(task.store, "t")
    task.desk.drain("worker/w")
    with pytest.raises(InboxEnded):
        task.go_on(1)
    assert task.loop == before
    assert history(task.store, "t") == told
    task.desk.resume("worker/w")
    assert task.go_on(1)["iteration"] == 2


def test_a_full_inbox_refuses_the_whole_change(task: Task) -> None:
    task.start(iterations=3)
    transact_one(task.store, Register((InboxSpec("worker/w", bound=1),)))
    task.desk.send("worker/w", "job", b"1")
    with pytest.raises(InboxFull):
        task.go_on(1)
    assert task.loop.iteration == 1
    assert task.types("worker/w") == ["job"]


def test_a_record_that_changed_takes_the_message_with_it(task: Task) -> None:
    task.start(iterations=3)

    def decide(change: Change) -> None:
        go_on(change, 1, read_evidence(PASS))
        change.write(Write("postroom/test", "k", "k", b"1", 7))

    with pytest.raises(Conflict):
        task.change(decide)
    assert (task.loop.iteration, task.types("worker/w")) == (1, [])


def test_an_error_while_deciding_leaves_the_store_unlocked(task: Task) -> None:
    def decide() -> tuple[None, list[Operation]]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        together(task.store, decide)
    task.desk.send("worker/w", "job", b"1")


def add_one(store: MemoryStore) -> list[Operation]:
    found = store.records("postroom/test", "n", "n")
    number, version = (int(found[0].value), found[0].version) if found else (0, 0)
    return [Put((Write("postroom/test", "n", "n", b"%d" % (number + 1), version),))]


def test_who_was_too_slow_decides_anew(task: Task) -> None:
    other = task.store.another_handle()
    calls: list[int] = []

    def decide() -> tuple[int, list[Operation]]:
        calls.append(1)
        operations = add_one(task.store)
        if len(calls) == 1:
            together(other, lambda: (None, add_one(other)))
        return len(calls), operations

    assert together(task.store, decide) == 2
    assert task.store.records("postroom/test", "n", "n")[0].value == b"2"
    other.close()


def test_who_is_always_too_slow_is_told_in_the_end(task: Task) -> None:
    with pytest.raises(Conflict):
        together(task.store, lambda: (None, [Put((Write("postroom/test", "n", "n", b"1", 9),))]))
    with pytest.raises(StoreBusy):
        together(task.store, lambda: (None, add_one(task.store)), still=lambda _: False)
    assert task.store.records("postroom/test") == []


def test_a_lock_that_is_never_given_up_is_told(task: Task, clock: ManualClock) -> None:
    other = task.store.another_handle()
    operations = add_one(other)
    task.store.begin()
    start = clock.now().boot
    with pytest.raises(StoreBusy, match="another process"):
        together(other, lambda: (None, operations), nap=clock.advance)
    assert clock.now().boot - start >= DEADLINE_SECONDS * 1_000_000
    task.store.rollback()
    other.close()


class Unsure(MemoryStore):
    """A store whose next commit is kept, and fails nevertheless."""

    unsure = False
    reopened = 0

    def commit(self) -> None:
        super().commit()
        if self.unsure:
            self.unsure = False
            raise OutcomeUnknown("the commit failed", "test", "repeat")

    def reopen(self) -> None:
        self.reopened += 1


def test_after_an_unknown_outcome_the_same_call_tells_what_is_true(clock: ManualClock) -> None:
    store = Unsure(clock)
    task = Task(store, clock)
    task.pair()
    task.start(iterations=3)
    store.unsure = True
    with pytest.raises(OutcomeUnknown):
        task.go_on(1)
    assert store.reopened == 1
    assert task.go_on(1) == {"iteration": 2, "already": True}
    assert task.types("worker/w") == ["continue_iteration"]
    store.close()


def test_a_change_of_an_unknown_or_an_ended_task_is_refused(task: Task) -> None:
    for name, why in (("nobody", "not paired"), ("t", "has ended")):
        if name == "t":
            task.desk.unpair("t")
        with pytest.raises(Exception, match=why):
            changed(task.store, name, lambda _: None)
