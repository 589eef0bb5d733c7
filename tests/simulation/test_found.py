"""What the simulator has found, each reduced to the fewest steps that show it."""

from __future__ import annotations

import trio
from faulty import Batch, Failure, FaultyStore
from msgspec import structs
from port_verbs import INBOX, a_message, claim, counts, do, register, send, session, state
from trio.testing import MockClock
from troupe import Answer, Echo, Job

from postroom.simulation.clock import HostClock
from postroom.simulation.options import Options, expand
from postroom.simulation.planning import Fault
from postroom.simulation.running import run
from postroom.simulation.scenario import load
from postroom.store import records as r
from postroom.store.memory import MemoryStore
from postroom.testing import VirtualClock, memory_store, open_testing_postroom

DECADE = 10 * 365.25 * 86_400
ROWS_US = 7 * 86_400 * 1_000_000


def test_a_system_that_never_had_a_session_takes_nobodys_leases_with_it() -> None:
    store = memory_store(commit_delay=0.0)
    register(store, INBOX)
    send(store)
    (delivery,) = claim(store)
    do(store, r.CloseSession(0), r.Changed)
    assert state(store, delivery.id) == "leased"


def test_a_session_that_is_closed_still_gives_back_what_it_held() -> None:
    store = memory_store(commit_delay=0.0)
    register(store, INBOX)
    send(store)
    mine = session(store)
    (delivery,) = claim(store, session=mine)
    do(store, r.CloseSession(mine), r.Changed)
    assert state(store, delivery.id) == "ready"


def test_finished_mail_outlives_a_wall_clock_that_is_set_ahead_by_ten_years() -> None:
    """Within one boot its age is a matter of the boot clock, as with leases and due times."""
    clock = HostClock(VirtualClock())
    store = MemoryStore(clock)
    register(store, INBOX)
    send(store, a_message())
    send(store, a_message())  # the newest message is never swept
    first, _ = claim(store)
    do(store, r.Settle(first.id, first.fence, r.Verdict.ACK), r.Settled)
    clock.step_wall(DECADE)
    do(store, r.Sweep(ROWS_US, 2 * ROWS_US), r.Changed)
    assert state(store, first.id) == "done"


def acknowledging_an_answer(batch: Batch) -> bool:
    """Transactions with a settlement that sends nothing: that of the question sends its answer."""
    return any(isinstance(one, r.Settle) and not one.outputs for one in batch)


async def test_an_answer_is_acknowledged_again_when_the_store_refused_it(autojump_clock: MockClock) -> None:
    """Otherwise it stays leased for as long as the session lives."""
    store = FaultyStore()
    refused = store.plan(Failure.REFUSED, acknowledging_an_answer, times=3)
    async with open_testing_postroom(store=store, name="desk") as office:
        await office.start("echo/main", Echo)
        assert await office.ask("echo/main", Job(3), timeout=5, reply=Answer) == Answer(3)
        await trio.sleep(1)
        assert not refused.times
        replies = counts(store, "reply/desk")
        assert (replies.leased, replies.done) == (0, 1)


def opening_slowly(*faults: Fault) -> Options:
    """A small run in which the node dies, and its store stands still when it comes back."""
    options = structs.replace(expand("calm", load("calm"), 1).lighter(3), nodes=("node-1", "node-2"))
    dies = Fault("crash", options.seconds - 0.2, "node-2", amount=0.1)
    stands = Fault("pause", options.seconds - 0.15, "node-2", seconds=60.0)
    return structs.replace(options, faults=(dies, stands, *faults))


def test_a_process_that_still_opens_its_store_ends_with_the_run() -> None:
    result = run(opening_slowly())
    assert result.clean, result.breaches
    assert result.faults == {"crash": 1, "pause": 1}


def test_a_process_can_be_stopped_while_it_opens_its_store() -> None:
    seconds = opening_slowly().seconds
    result = run(opening_slowly(Fault("stop", seconds - 0.05, "node-2", amount=0.1)))
    assert result.clean, result.breaches
    assert result.faults == {"crash": 1, "pause": 1, "stop": 1}
