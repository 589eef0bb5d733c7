"""A task is finished only when nothing is missing, or by force, and once."""

from __future__ import annotations

from functools import partial

import pytest
from loop_tasks import FAIL, PASS, Task

from postroom.actors.loops import acks, budgets, criteria
from postroom.actors.loops.change import Change
from postroom.actors.loops.evidence import read_evidence
from postroom.actors.loops.finishing import Finish, finish
from postroom.actors.loops.iterations import add_evidence
from postroom.actors.loops.records import LOOPS, history
from postroom.actors.loops.states import LoopState, Source
from postroom.actors.loops.talking import permit
from postroom.mailbox import pairs, threads, wakes
from postroom.mailbox.ids import id_text
from postroom.mailbox.wakes import WakeState
from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput, Refused
from postroom.store.memory import MemoryStore
from postroom.store.records import Put
from postroom.store.transact import transact_one


def kinds(done: Finish) -> list[tuple[str, str]]:
    return [(lack.kind, lack.about) for lack in done.missing]


def evidence(task: Task, text: str) -> None:
    task.change(lambda change: add_evidence(change, change.loop.iteration, read_evidence(text)))


def test_a_task_without_a_loop_and_mail_is_finished_at_once_and_once(task: Task) -> None:
    assert finish(task.store, "t") == Finish(task.binding, finished=True)
    assert task.binding.state == pairs.ENDED
    again = finish(task.store, "t")
    assert (again.finished, again.already) == (True, True)
    assert [event.event for event in history(task.store, "t")] == ["finished"]


def test_everything_that_is_missing_is_listed_and_nothing_is_changed(task: Task) -> None:
    task.start("tests", iterations=3, acks=True)
    task.change(lambda change: criteria.add(change, "it works", Source.USER))
    task.change(lambda change: permit(change, "task.finish", granted=False))
    sent = task.desk.send("worker/w", "job", b"1")
    task.desk.send("worker/w", "job", b"1", delay=60.0)
    task.desk.send("manager/m", "report", b"1", sender="worker/w")
    (held,) = task.desk.poll("worker/w")
    before = task.loop
    done = finish(task.store, "t")
    assert not done.finished
    assert [kind for kind, _ in kinds(done)] == [
        "permission", "criterion", "evidence", "ack", "ack", "lease", "mail", "mail",
    ]  # fmt: skip
    lease = next(lack for lack in done.missing if lack.kind == "lease")
    assert held.id == sent.id
    assert str(held.fence) in lease.do
    assert (task.loop, task.binding.state) == (before, pairs.ACTIVE)


def test_step_by_step_nothing_is_missing_any_more(task: Task) -> None:
    task.start("tests", iterations=3)
    task.change(lambda change: criteria.add(change, "it works", Source.USER))
    task.change(lambda change: criteria.add(change, "it is fast", Source.USER))
    evidence(task, FAIL)
    assert kinds(finish(task.store, "t")) == [
        ("criterion", "c1"), ("criterion", "c2"), ("evidence", "iteration 1"),
    ]  # fmt: skip
    for verb in ("accept", "satisfy"):
        task.change(partial(criteria.move, verb=verb, id="c1", source=Source.AUDIT, reason=None))
    task.change(lambda change: criteria.move(change, "defer", "c2", Source.USER, "later"))
    assert kinds(finish(task.store, "t")) == [("evidence", "iteration 1")]
    evidence(task, PASS)
    assert finish(task.store, "t").finished
    assert task.loop.state is LoopState.FINISHED


def test_evidence_of_an_earlier_iteration_does_not_count(task: Task) -> None:
    task.start(iterations=3)
    task.go_on(1, PASS)
    task.settle_all()
    assert kinds(finish(task.store, "t")) == [("evidence", "iteration 2")]


def test_evidence_that_was_kept_for_an_earlier_iteration_does_not_count(task: Task) -> None:
    task.start(iterations=3)
    evidence(task, PASS)
    task.go_on(1, None)
    task.settle_all()
    assert kinds(finish(task.store, "t")) == [("evidence", "iteration 2")]


def accept(change: Change, role: str) -> None:
    change.write(acks.task_ack_write(change.store, change.binding, role, "accepted", None))


def test_acks_count_only_where_they_are_required(task: Task) -> None:
    task.start(iterations=1, acks=True)
    evidence(task, PASS)
    for role in ("manager", "worker"):
        assert ("ack", "t") in kinds(finish(task.store, "t"))
        task.change(partial(accept, role=role))
    assert finish(task.store, "t").finished


def test_a_loop_that_a_budget_has_paused_is_not_finished(task: Task) -> None:
    task.start(tokens=1)
    evidence(task, PASS)
    task.change(lambda change: budgets.spend(change, "tokens", 1, None))
    task.settle_all()
    assert kinds(finish(task.store, "t")) == [("budget", "tokens")]


def test_a_loop_that_has_overrun_its_budget_is_not_finished_although_nobody_has_paused_it(task: Task) -> None:
    task.start(seconds=60)
    evidence(task, PASS)
    task.clock.advance(60.0)
    assert kinds(finish(task.store, "t")) == [("budget", "seconds")]


def test_mail_that_the_worker_has_taken_from_its_role_is_in_the_way(task: Task) -> None:
    assign(task, "worker/w")
    sent = task.desk.send("any:worker", "job", b"1")
    (held,) = task.desk.poll("worker/w")
    assert kinds(finish(task.store, "t")) == [("lease", id_text(sent.id))]
    task.desk.ack(held.id, held.fence)
    assert finish(task.store, "t").finished


def assign(task: Task, address: str) -> None:
    _, write = threads.assign(task.store, address, "t-1")
    assert write is not None
    transact_one(task.store, Put((write,)))


def test_with_a_disposable_inbox_its_thread_and_the_wake_under_way_end(task: Task) -> None:
    task.pair("t2", "w2", disposable=True)
    assign(task, "worker/w2")
    wake = wakes.sent(task.clock, wakes.ASLEEP, "r-1", "t-1")
    transact_one(task.store, Put((wakes.write("worker/w2", wake, 0),)))
    assert finish(task.store, "t2").ended_inboxes == ("worker/w2",)
    assert threads.find(task.store, "worker/w2") == (None, 0)
    assert wakes.find(task.store, "worker/w2")[0].state is WakeState.IDLE


def test_other_mail_of_the_manager_is_not_the_task_s(task: Task) -> None:
    task.pair("t2", "w2")
    task.desk.send("manager/m", "report", b"1", sender="worker/w2", correlation="t2")
    assert finish(task.store, "t").finished
    assert kinds(finish(task.store, "t2"))[0][0] == "mail"


def test_by_force_it_ends_all_the_same_and_the_reason_is_kept(task: Task) -> None:
    task.start(tokens=1)
    task.change(lambda change: budgets.spend(change, "tokens", 1, None))
    with pytest.raises(BadInput, match="without a reason"):
        finish(task.store, "t", force=True)
    done = finish(task.store, "t", force=True, reason="we give up")
    assert (done.finished, done.forced, len(done.missing)) == (True, True, 3)
    event = history(task.store, "t")[-1]
    assert (event.event, event.data["reason"], len(event.data["missing"])) == ("finished", "we give up", 3)
    assert not task.desk.inbox("worker/w").paused
    assert task.pair("t3").worker == "worker/w"


def test_the_inboxes_of_a_disposable_binding_end_with_it(task: Task) -> None:
    task.pair("t2", "w2", disposable=True)
    done = finish(task.store, "t2")
    assert done.ended_inboxes == ("worker/w2",)
    assert not task.desk.inbox("manager/m").ended
    finish(task.store, "t")
    task.pair("t3", "w3", disposable=True)
    assert finish(task.store, "t3").ended_inboxes == ("manager/m", "worker/w3")
    assert task.desk.inbox("manager/m").ended
    task.pair("t3", "w3")
    assert not task.desk.inbox("worker/w3").ended


class Busy(MemoryStore):
    """A store to which somebody sends mail between the looking and the commit."""

    task: Task | None = None
    mails = 0
    delay = 0.0

    def begin(self) -> None:
        if self.mails and self.task is not None:
            self.mails -= 1
            with_mail, self.task = self.task, None
            other = self.another_handle()
            Task(other, with_mail.clock).desk.send("worker/w", "job", b"1", expires=self.delay or None)
            other.close()
            self.task = with_mail
        super().begin()


def test_mail_that_comes_at_the_last_moment_is_noticed(clock: ManualClock) -> None:
    store = Busy(clock)
    task = Task(store, clock)
    task.pair(disposable=True)
    store.task, store.mails = task, 1
    done = finish(store, "t")
    assert [lack.kind for lack in done.missing] == ["mail"]
    assert task.types("worker/w") == ["job"]
    assert task.binding.state == pairs.ACTIVE
    store.close()


def test_mail_that_has_expired_is_in_nobody_s_way(task: Task) -> None:
    task.desk.send("worker/w", "job", b"1", expires=1.0)
    task.clock.advance(2.0)
    assert finish(task.store, "t").finished
    assert task.desk.inbox("worker/w").expired == 1


def test_a_task_that_was_never_paired_cannot_be_finished(task: Task) -> None:
    with pytest.raises(Refused):
        finish(task.store, "nobody")
    assert LOOPS.all(task.store) == {}
