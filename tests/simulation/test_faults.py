"""What each fault does to the call that it meets: kept or not, told or not, once or until lifted."""

from __future__ import annotations

import pytest
from port_verbs import INBOX, a_message, register

from postroom.simulation.faults import FAILURES, Trouble
from postroom.simulation.planning import Fault
from postroom.store import records as r
from postroom.store.errors import OutcomeUnknown, StoreBusy, StoreUnavailable
from postroom.store.port import Store
from postroom.store.transact import transact
from postroom.testing import MemoryStore, memory_store


class Scene:
    """One store, the same as a node in trouble has it, and a time that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.alive = True
        self.fired: list[str] = []
        self.under: MemoryStore = memory_store(commit_delay=0.0)
        register(self.under, INBOX)
        self.trouble = Trouble(lambda: self.now, lambda fault, where: self.fired.append(where))
        self.store: Store = self.trouble.wrap(self.under.another_handle(), self)

    def kill(self, *, seen: bool, down: float) -> None:
        self.alive = False

    def arm(self, kind: str, method: str, times: int | None = None, seconds: float | None = None) -> None:
        self.trouble.arm(Fault(kind, 0.0, "node-1", method, times, seconds))

    def send(self) -> None:
        transact(self.store, [r.Send(a_message())], nap=lambda _: None)

    @property
    def kept(self) -> int:
        (counts,) = self.under.counts(INBOX)
        return counts.accepted


KEPT = {
    ("refuse", "begin"): (StoreUnavailable, 0),
    ("refuse", "apply"): (StoreUnavailable, 0),
    ("refuse", "commit"): (StoreUnavailable, 0),
    ("busy", "begin"): (StoreBusy, 0),
    ("unknown-lost", "commit"): (OutcomeUnknown, 0),
    ("unknown-kept", "commit"): (OutcomeUnknown, 1),
    ("fail-after", "begin"): (StoreUnavailable, 0),
    ("fail-after", "apply"): (StoreUnavailable, 0),
    ("fail-after", "commit"): (OutcomeUnknown, 1),
    ("crash-before-commit", "commit"): (OutcomeUnknown, 0),
    ("crash-after-commit", "commit"): (OutcomeUnknown, 1),
}


@pytest.mark.parametrize(("kind", "method"), KEPT)
def test_what_is_kept_and_what_is_told(kind: str, method: str) -> None:
    scene = Scene()
    scene.arm(kind, method)
    error, kept = KEPT[kind, method]
    with pytest.raises(error) as caught:
        scene.send()
    assert type(caught.value) is error
    assert scene.kept == kept
    assert set(scene.fired) == {method}


def test_nobody_is_locked_out_by_a_fault() -> None:
    for kind, method in KEPT:
        scene = Scene()
        scene.arm(kind, method, times=1)
        if kind == "busy":
            scene.send()  # it naps, and tries again
        else:
            with pytest.raises(StoreUnavailable):
                scene.send()
        transact(scene.under, [r.Send(a_message())])


def test_a_fault_for_some_calls_is_over_after_them() -> None:
    scene = Scene()
    scene.arm("refuse", "commit", times=2)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            scene.send()
    scene.send()
    assert scene.kept == 1


def test_a_fault_for_some_time_is_over_after_it() -> None:
    scene = Scene()
    scene.arm("refuse", "commit", seconds=2.0)
    scene.now = 1.9
    with pytest.raises(StoreUnavailable):
        scene.send()
    scene.now = 2.0
    scene.send()
    assert scene.kept == 1


def test_a_fault_without_end_lasts_until_it_is_lifted() -> None:
    scene = Scene()
    scene.arm("refuse", "commit")
    scene.now = 1e6
    with pytest.raises(StoreUnavailable):
        scene.send()
    scene.trouble.lift()
    scene.send()
    assert scene.kept == 1


def test_only_a_renewal_is_lost_by_a_lost_renewal() -> None:
    scene = Scene()
    scene.arm("lost-renewal", "apply", times=1)
    scene.send()
    with pytest.raises(StoreUnavailable):
        transact(scene.store, [r.RenewSession(1, 1)])
    assert scene.fired == ["apply"]


def test_a_lost_bell_counts_only_if_it_rang() -> None:
    scene = Scene()
    scene.arm("lost-bell", "changed_elsewhere", seconds=1.0)
    assert not scene.store.changed_elsewhere()
    assert scene.fired == []
    transact(scene.under, [r.Send(a_message())])
    assert not scene.store.changed_elsewhere()
    assert scene.fired == ["changed_elsewhere"]


def test_a_process_that_stands_still_commits_when_it_goes_on() -> None:
    scene = Scene()
    scene.trouble.arm(Fault("pause", 0.0, "node-1", seconds=70.0))
    scene.now = 10.0
    assert scene.store.commit_delay() == 60.0
    scene.now = 80.0
    assert scene.store.commit_delay() == 0.0


def test_a_process_that_is_dead_meets_no_more_faults() -> None:
    scene = Scene()
    scene.arm("refuse", "commit")
    scene.alive = False
    scene.send()
    assert scene.fired == []


def test_every_failure_is_tried_here() -> None:
    assert {kind for kind, _ in KEPT} | {"lost-renewal"} == FAILURES.keys()
