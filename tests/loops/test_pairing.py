"""Pairing with everything that belongs to it, or not at all."""

from __future__ import annotations

import pytest
from loop_tasks import Task

from postroom.actors.loops.beating import heartbeat
from postroom.actors.loops.finishing import finish
from postroom.actors.loops.iterations import checked_terms
from postroom.actors.loops.pairing import AppThread, Paired, pair
from postroom.actors.loops.prompts import first_commands, prompt
from postroom.mailbox import heartbeats, pairs, threads
from postroom.store.errors import BadInput, Conflict


def again(task: Task, name: str = "t", by: str = "w", *, disposable: bool = False, **given: str) -> Paired:
    wanted = pairs.new_binding(name, "m", by, task.clock.now().wall, disposable=disposable)
    return pair(task.store, wanted, {role: AppThread(id) for role, id in given.items()})


def test_pairing_assigns_threads_and_doing_it_again_changes_nothing(task: Task) -> None:
    assert not again(task, manager="tm").already
    found = again(task, manager="tm")
    assert found.already
    assert found.threads["manager"].thread_id == "tm"
    assert threads.find(task.store, "manager/m")[1] == 1


def test_another_thread_is_a_conflict_and_nothing_else_is_kept(task: Task) -> None:
    again(task, manager="tm")
    with pytest.raises(Conflict):
        again(task, "t2", "w2", manager="other", worker="tw")
    assert pairs.find(task.store, "t2") == (None, 0)
    assert threads.find(task.store, "worker/w2") == (None, 0)
    assert "worker/w2" not in {counts.inbox for counts in task.desk.inboxes()}


def test_a_second_active_binding_of_task_or_worker_is_refused(task: Task) -> None:
    for name, worker in (("t", "w2"), ("t2", "w")):
        with pytest.raises(Conflict):
            again(task, name, worker)


def test_a_loop_can_begin_with_the_pairing(task: Task) -> None:
    wanted = pairs.new_binding("t2", "m", "w2", task.clock.now().wall)
    terms = checked_terms({"iterations": 2}, ["tests"])
    assert pair(task.store, wanted, terms=terms).loop.iteration == 1
    assert pair(task.store, wanted, terms=terms).already
    with pytest.raises(Conflict):
        pair(task.store, wanted, terms=checked_terms({"iterations": 3}))


def test_a_binding_says_that_it_is_disposable_and_older_ones_stay_readable(task: Task) -> None:
    binding = task.pair("t2", "w2", disposable=True)
    assert pairs.find(task.store, "t2")[0] == binding
    assert binding.disposable
    assert b"disposable" not in task.binding.value()
    assert again(task, "t2", "w2").already
    with pytest.raises(Conflict, match="not disposable"):
        again(task, disposable=True)


def test_no_two_bindings_of_a_task_are_alike_though_the_clock_stands(task: Task) -> None:
    first = task.binding
    task.desk.unpair("t")
    task.clock.step_wall(-3600.0)
    assert task.pair().since == first.since + 1


@pytest.mark.parametrize("thread", ["", "a\nb", "x" * 300])
def test_a_wrong_thread_id_pairs_nothing(task: Task, thread: str) -> None:
    with pytest.raises(BadInput):
        again(task, "t2", "w2", worker=thread)
    assert pairs.find(task.store, "t2") == (None, 0)


@pytest.mark.parametrize("role", ["manager", "worker"])
def test_the_prompt_says_how_to_begin_and_when_to_stop(task: Task, role: str) -> None:
    binding = task.pair("t2", "w2", disposable=True)
    text = prompt(binding, role, " --store sqlite:///a.db")
    assert first_commands(binding, " --store sqlite:///a.db")[role][0] in text
    assert "An empty poll is never a reason to stop" in text
    assert "every 2 minutes" in text
    assert "Both inboxes end" in text
    assert "Both inboxes end" not in prompt(task.binding, role)


def test_heartbeats_of_an_earlier_binding_are_forgotten(task: Task) -> None:
    heartbeat(task.store, "t", "worker")
    assert again(task).already
    assert heartbeats.find(task.store, "worker", "t")[1] == 1
    task.desk.unpair("t")
    again(task)
    assert heartbeats.find(task.store, "worker", "t") == (None, 0)


def test_a_disposable_side_may_have_another_thread_next_time(task: Task) -> None:
    again(task, "t2", "w2", disposable=True, worker="thread-1")
    assert finish(task.store, "t2").ended_inboxes == ("worker/w2",)
    assert (
        again(task, "t2", "w2", disposable=True, worker="thread-2").threads["worker"].thread_id == "thread-2"
    )
