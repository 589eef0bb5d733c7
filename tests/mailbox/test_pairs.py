from __future__ import annotations

from random import Random

import msgspec
import pytest

from postroom.mailbox import pairs
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput, Conflict, EmptyGroup, Refused, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.store.records import Put, Write
from postroom.store.transact import transact, transact_one


@pytest.fixture
def bare(store: MemoryStore, clock: ManualClock) -> Desk:
    """A desk on a store without any inbox."""
    return Desk(store, IdMaker(clock, Random(7)), nap=clock.advance)


def test_pairing_makes_both_inboxes_and_the_route(bare: Desk, clock: ManualClock) -> None:
    pairing = bare.pair("T-1", "m", "w")
    assert not pairing.already
    assert pairing.binding == pairs.Binding("T-1", "manager/m", "worker/w", "active", clock.now().wall)
    assert {c.inbox for c in bare.inboxes()} >= {"manager/m", "worker/w"}
    bare.send("manager-of:T-1", "report", b"1", sender="worker/w")
    assert [d.recipient for d in bare.poll("manager/m")] == ["manager/m"]


def test_pairing_the_same_again_changes_nothing(bare: Desk, clock: ManualClock) -> None:
    first = bare.pair("t", "m", "w")
    clock.advance(5.0)
    assert bare.pair("t", "m", "w") == pairs.Pairing(first.binding, True)


def test_a_task_and_a_worker_have_one_active_binding_and_a_manager_many(bare: Desk) -> None:
    bare.pair("t1", "m", "w1")
    bare.pair("t2", "m", "w2")
    for task, manager, worker in [("t1", "m", "w3"), ("t1", "other", "w1"), ("t3", "m", "w1")]:
        with pytest.raises(Conflict, match="is paired"):
            bare.pair(task, manager, worker)
    assert [b.task for b in pairs.bindings(bare.store)] == ["t1", "t2"]
    assert "worker/w3" not in {c.inbox for c in bare.inboxes()}


@pytest.mark.parametrize(("task", "worker"), [("t2", "w"), ("t1", "w2")])
def test_of_two_that_pair_at_once_one_is_refused(store: MemoryStore, task: str, worker: str) -> None:
    ours, our_put = pairs.bind(store, pairs.new_binding("t1", "m", "w", 1))
    _, their_put = pairs.bind(store, pairs.new_binding(task, "m", worker, 1))
    assert our_put is not None
    assert their_put is not None
    transact_one(store, our_put)
    (answer,) = transact(store, [their_put])
    assert isinstance(answer, Conflict)
    assert pairs.bindings(store) == [ours]


def test_an_unpaired_worker_is_free_again(bare: Desk) -> None:
    bare.pair("t", "m", "w")
    assert bare.unpair("t").binding.state == "ended"
    assert bare.unpair("t").already
    with pytest.raises(EmptyGroup):
        bare.send("manager-of:t", "report", b"1")
    bare.pair("t2", "m", "w")
    bare.pair("t", "m", "w2")
    assert [(b.task, b.state) for b in pairs.bindings(bare.store)] == [("t", "active"), ("t2", "active")]


def test_what_was_never_paired_cannot_be_unpaired(bare: Desk) -> None:
    with pytest.raises(Refused):
        bare.unpair("t")


@pytest.mark.parametrize(
    ("task", "manager", "worker"), [("", "m", "w"), ("a/b", "m", "w"), ("t", "M", "w"), ("t", "m", "")]
)
def test_wrong_names_are_refused_before_anything_is_made(
    bare: Desk, task: str, manager: str, worker: str
) -> None:
    with pytest.raises(BadInput):
        bare.pair(task, manager, worker)
    assert bare.inboxes() == []


def test_the_commands_are_ready_to_paste(bare: Desk) -> None:
    binding = bare.pair("t", "m", "w").binding
    plain, elsewhere = pairs.commands(binding), pairs.commands(binding, "sqlite:///a b.db")
    assert plain["worker"][0] == "postroom poll worker/w --wait 30"
    assert plain["manager"][0].startswith("postroom send worker/w --from manager/m ")
    assert elsewhere["worker"][0] == "postroom poll --store 'sqlite:///a b.db' worker/w --wait 30"


def test_a_damaged_binding_is_said_to_be_one(bare: Desk, store: MemoryStore) -> None:
    transact_one(store, Put((Write(pairs.OWNER, pairs.BINDING, "t", msgspec.json.encode({"state": 1})),)))
    with pytest.raises(StoreUnavailable, match="damaged"):
        bare.pair("t", "m", "w")
