"""Each checker finds what it is there for, and nothing in a history that is right."""

from __future__ import annotations

import pytest
from port_verbs import SECOND, a_message, an_id

from postroom.simulation.checkers import Checkers
from postroom.simulation.witness import Committed, Doubted, Fact, Gone, Rebooted, witnessed
from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import LostLease
from postroom.store.identity import id_text
from postroom.store.memory import MemoryStore
from postroom.store.port import Store
from postroom.store.transact import transact_one

INBOX = "worker/a"


class World:
    """A store that is watched by all checkers, and facts that nobody has committed."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = MemoryStore(self.clock)
        self.checkers = Checkers()
        self.store: Store = witnessed(self.memory, self.checkers.see, "p1")
        self.do(r.Register((r.InboxSpec(INBOX),)))

    def do(self, operation: r.Operation) -> r.Result:
        return transact_one(self.store, operation)

    def send(self, **fields: object) -> r.NewMessage:
        message = a_message(INBOX)
        for name, value in fields.items():
            setattr(message, name, value)
        self.do(r.Send(message))
        return message

    def claim(self, limit: int = 1, **fields: object) -> list[r.Delivery]:
        claimed = self.do(r.Claim((INBOX,), limit, **fields))  # type: ignore[arg-type]  # by name
        assert isinstance(claimed, r.Claimed)
        return claimed.deliveries

    def ack(self, delivery: r.Delivery, *, times: int = 1) -> r.Settle:
        effect = r.Write(INBOX, "effect", id_text(delivery.id), str(times).encode())
        settle = r.Settle(delivery.id, delivery.fence, r.Verdict.ACK, writes=(effect,))
        self.do(settle)
        return settle

    def pretend(self, operation: r.Operation, answer: r.Answer) -> None:
        self.checkers.see(Committed(self.clock.now().boot, "p1", operation, answer))

    def found(self, *, drained: bool = False) -> set[str]:
        self.checkers.finish(self.store, drained=drained)
        return {breach.kind for breach in self.checkers.breaches}


def a_delivery(message: r.NewMessage, fence: int, seq: int = 1) -> r.Delivery:
    return r.Delivery(
        seq,
        message.id,
        fence,
        INBOX,
        message.sender,
        message.type,
        message.body,
        1,
        1,
        5,
        0,
        0,
        lease_us=SECOND,
    )


def test_a_right_history_has_no_breach() -> None:
    world = World()
    world.send()
    world.send(priority=3)
    world.send(delay_us=SECOND)
    urgent, plain = world.claim(2)
    world.ack(urgent)
    world.do(r.Settle(plain.id, plain.fence, r.Verdict.RETRY, delay_us=SECOND))
    world.clock.advance(2)
    for delivery in world.claim(5):
        world.ack(delivery)
    assert world.found(drained=True) == set()
    assert world.checkers.messages == 3
    assert world.checkers.queue.redelivered == 1
    assert world.checkers.effects.checked == 3


def test_an_accepted_message_that_is_nowhere_is_lost() -> None:
    world = World()
    message = a_message(INBOX)
    world.pretend(r.Send(message), r.Accepted(message.id, "accepted", 7))
    assert world.found() == {"lost"}


def test_a_message_of_which_nobody_knows_may_be_missing() -> None:
    world = World()
    message = a_message(INBOX)
    world.checkers.see(Doubted(0, "p1", r.Send(message), r.Accepted(message.id, "accepted", 7)))
    assert world.found() == set()


def test_a_message_that_retention_forgot_is_not_lost() -> None:
    world = World()
    world.send()
    world.ack(world.claim()[0])
    world.send()
    world.ack(world.claim()[0])
    world.clock.advance(100)
    world.do(r.Sweep(10 * SECOND, 20 * SECOND))
    assert world.found(drained=True) == set()
    assert any(world.store.message(id) is None for id in world.checkers.queue.accepted)


def test_an_acknowledged_message_must_be_done() -> None:
    world = World()
    world.send()
    (delivery,) = world.claim()
    world.pretend(r.Settle(delivery.id, delivery.fence, r.Verdict.ACK), r.Settled("done"))
    assert world.found() == {"lost"}


def test_a_message_must_not_be_done_if_nobody_acknowledged_it() -> None:
    world = World()
    world.send()
    (delivery,) = world.claim()
    transact_one(world.memory, r.Settle(delivery.id, delivery.fence, r.Verdict.ACK))
    assert world.found() == {"unexpected"}


def test_outputs_that_were_not_kept_are_lost() -> None:
    world = World()
    world.send()
    (delivery,) = world.claim()
    settle = r.Settle(delivery.id, delivery.fence, r.Verdict.ACK, outputs=(r.Send(a_message(INBOX)),))
    transact_one(world.memory, r.Settle(delivery.id, delivery.fence, r.Verdict.ACK))
    world.pretend(settle, r.Settled("done"))
    assert world.found() == {"lost"}


def test_nothing_is_delivered_that_was_never_accepted() -> None:
    world = World()
    world.pretend(r.Claim((INBOX,), 1), r.Claimed([a_delivery(a_message(INBOX), 5)]))
    assert world.found() == {"unexpected"}


def test_nothing_is_delivered_after_it_was_done() -> None:
    world = World()
    message = world.send()
    (delivery,) = world.claim()
    world.ack(delivery)
    world.pretend(r.Claim((INBOX,), 1), r.Claimed([a_delivery(message, delivery.fence + 1)]))
    assert world.found() == {"duplicated"}


def test_nothing_is_done_twice() -> None:
    world = World()
    world.send()
    (delivery,) = world.claim()
    world.ack(delivery)
    world.pretend(r.Settle(delivery.id, delivery.fence + 1, r.Verdict.ACK), r.Settled("done"))
    assert "duplicated" in world.found()


def test_repeating_an_acknowledgement_is_no_second_one() -> None:
    world = World()
    world.send()
    world.do(world.ack(world.claim()[0]))
    assert world.found(drained=True) == set()


@pytest.mark.parametrize("times", [0, 2])
def test_an_effect_is_there_exactly_once(times: int) -> None:
    world = World()
    world.send()
    world.ack(world.claim()[0], times=times)
    assert world.found() == {"effect"}


def test_a_message_that_is_not_done_has_no_effect() -> None:
    world = World()
    world.send()
    (delivery,) = world.claim()
    text = id_text(delivery.id)
    effect = r.Write(INBOX, "effect", text, b"1")
    world.do(r.Put((effect,)))
    lost = r.Settle(delivery.id, delivery.fence, r.Verdict.ACK, writes=(effect,))
    world.checkers.see(Doubted(0, "p1", lost, r.Settled("done")))
    assert world.found() == {"effect"}


def test_a_live_lease_is_not_given_to_another() -> None:
    world = World()
    message = world.send()
    (delivery,) = world.claim()
    world.pretend(r.Claim((INBOX,), 1), r.Claimed([a_delivery(message, delivery.fence + 1)]))
    assert world.found() == {"double_lease"}


def test_a_lease_that_is_over_is_given_to_another() -> None:
    world = World()
    world.send()
    world.claim(lease_us=SECOND)
    world.clock.advance(1)
    world.ack(world.claim()[0])
    assert world.found(drained=True) == set()


def test_an_extended_lease_is_live_for_longer() -> None:
    world = World()
    message = world.send()
    (delivery,) = world.claim(lease_us=SECOND)
    world.do(r.Extend(delivery.id, delivery.fence, 10 * SECOND))
    world.clock.advance(5)
    world.pretend(r.Claim((INBOX,), 1), r.Claimed([a_delivery(message, delivery.fence + 1)]))
    assert world.found() == {"double_lease"}


def test_a_repeated_claim_is_no_second_lease() -> None:
    world = World()
    world.send()
    first, again = world.claim(key="k"), world.claim(key="k")
    assert first[0].fence == again[0].fence
    assert world.found() == set()


def a_session(world: World) -> int:
    session = world.do(r.OpenSession("a", "runtime", "p1", 60 * SECOND))
    assert isinstance(session, r.Session)
    return session.id


def test_a_session_holds_its_leases_for_as_long_as_it_is_renewed() -> None:
    world = World()
    message = world.send()
    session = a_session(world)
    (delivery,) = world.claim(session=session)
    world.clock.advance(50)
    world.do(r.RenewSession(session, 60 * SECOND))
    world.clock.advance(50)
    world.pretend(r.Claim((INBOX,), 1), r.Claimed([a_delivery(message, delivery.fence + 1)]))
    assert world.found() == {"double_lease"}


@pytest.mark.parametrize("over", [Gone(0, "p1"), Rebooted(0, "p1")])
def test_who_is_gone_holds_nothing(over: Fact) -> None:
    world = World()
    message = world.send()
    (delivery,) = world.claim(session=a_session(world))
    world.checkers.see(over)
    world.pretend(r.Claim((INBOX,), 1), r.Claimed([a_delivery(message, delivery.fence + 1)]))
    assert world.found() == set()


def test_a_name_is_not_alive_twice() -> None:
    world = World()
    one, other = a_session(world), a_session(world)
    world.do(r.Activate("tally/main", one))
    world.pretend(r.Activate("tally/main", other), r.Term("tally/main", other, 9))
    assert world.found() == {"double_lease"}


def test_a_name_comes_alive_elsewhere_once_it_has_stepped_down() -> None:
    world = World()
    one, other = a_session(world), a_session(world)
    term = world.do(r.Activate("tally/main", one))
    assert isinstance(term, r.Term)
    world.do(r.Deactivate(term))
    world.do(r.Activate("tally/main", other))
    assert world.found() == set()


def test_terms_grow() -> None:
    world = World()
    one = a_session(world)
    world.do(r.Activate("tally/main", one))
    world.pretend(r.Activate("tally/main", one), r.Term("tally/main", one, 1))
    assert world.found() == {"fence"}


def test_fences_grow() -> None:
    world = World()
    message = world.send()
    (delivery,) = world.claim(lease_us=SECOND)
    world.clock.advance(2)
    world.pretend(r.Claim((INBOX,), 1), r.Claimed([a_delivery(message, delivery.fence)]))
    assert world.found() == {"fence"}


def test_nothing_is_settled_under_a_fence_that_is_over() -> None:
    world = World()
    world.send()
    (old,) = world.claim(lease_us=SECOND)
    world.clock.advance(1)
    (new,) = world.claim(lease_us=SECOND)
    with pytest.raises(LostLease):
        world.ack(old)
    assert new.fence > old.fence
    assert world.found() == set()
    world.pretend(r.Settle(old.id, old.fence, r.Verdict.RELEASE), r.Settled("ready"))
    assert world.found() == {"double_lease", "fence"}


@pytest.mark.parametrize("first", [{}, {"priority": 3}])
def test_who_goes_first_is_claimed_first(first: dict[str, object]) -> None:
    world = World()
    early = world.send(**first)
    late = world.send()
    world.pretend(r.Claim((INBOX,), 1), r.Claimed([a_delivery(late, 5, seq=2)]))
    assert world.found() == {"order"}
    assert id_text(early.id) in world.checkers.breaches[0].what


def test_mail_that_comes_back_holds_back_nobody() -> None:
    world = World()
    world.send()
    world.send()
    (early,) = world.claim()
    world.do(r.Settle(early.id, early.fence, r.Verdict.RETRY, delay_us=SECOND))
    world.ack(world.claim()[0])
    assert world.found() == set()


def test_an_ordered_inbox_waits_for_mail_that_comes_back() -> None:
    world = World()
    world.do(r.Register((r.InboxSpec(INBOX, ordered=True),)))
    world.send()
    late = world.send()
    (early,) = world.claim()
    world.do(r.Settle(early.id, early.fence, r.Verdict.RETRY, delay_us=SECOND))
    assert world.claim() == []
    assert world.found() == set()
    world.pretend(r.Claim((INBOX,), 1), r.Claimed([a_delivery(late, 5, seq=early.seq + 1)]))
    assert world.found() == {"order"}


def test_counts_that_do_not_agree_with_the_rows_are_a_breach() -> None:
    world = World()
    world.send()
    world.memory._write.execute("DELETE FROM message")  # pyright: ignore[reportPrivateUsage]  # rot
    assert world.found() == {"lost", "balance"}


def test_what_is_left_over_at_the_end_is_stuck() -> None:
    world = World()
    world.send(delay_us=SECOND)
    assert world.found() == set()
    assert world.found(drained=True) == {"stuck"}


def test_an_operation_whose_commit_failed_is_in_doubt() -> None:
    facts: list[Fact] = []
    clock = ManualClock()
    store = MemoryStore(clock)
    watched = witnessed(store, facts.append)
    watched.begin()
    watched.apply([r.Register((r.InboxSpec(INBOX),))])
    store.rollback()
    with pytest.raises(AssertionError):
        watched.commit()
    assert [type(fact) for fact in facts] == [Doubted]


def test_facts_of_one_transaction_are_told_in_the_order_they_were_applied() -> None:
    facts: list[Fact] = []
    store = witnessed(MemoryStore(ManualClock()), facts.append)
    store.begin()
    message = r.NewMessage(an_id(), INBOX, "operator/cli", "job", b"{}")
    store.apply([r.Claim((INBOX,), 1), r.Send(message), r.Register((r.InboxSpec(INBOX),))])
    store.commit()
    kinds = [type(fact.operation) for fact in facts if isinstance(fact, Committed)]
    assert kinds == [r.Register, r.Send, r.Claim]
