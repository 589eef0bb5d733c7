"""Eight clients of one server at the same moment: ids, dedup keys, switched inboxes, the sweep, records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from port_verbs import INBOX, SECOND, a_message, an_id, claim, counts, do, register, send, settle, settlement
from rivals import MANY, Rivals, asked, with_isolation, words

from postroom.store import records as r
from postroom.store.errors import Conflict, InboxEnded
from postroom.store.postgres.engine import PostgresStore
from postroom.store.transact import transact

pytestmark = pytest.mark.long

DAY = 86_400 * SECOND


@pytest.fixture
def rivals(postgres_url: str) -> Iterator[Rivals]:
    """Where transactions are REPEATABLE READ unless they say otherwise, as some databases have it."""
    with Rivals(with_isolation(postgres_url, "repeatable read")) as all_of_them:
        register(all_of_them.first, INBOX)
        yield all_of_them


def test_an_id_that_eight_send_at_once_is_accepted_once(rivals: Rivals) -> None:
    for _ in range(8):
        message = a_message()
        answers = rivals.all_ask(r.Send(message))
        assert words(answers) == ["accepted"] + ["duplicate"] * 7
    assert counts(rivals.first).ready == 8


def test_batches_of_the_same_ids_in_any_order_are_accepted_once(rivals: Rivals) -> None:
    for _ in range(4):
        messages = [a_message() for _ in range(20)]

        def send_all(store: PostgresStore, n: int, these: list[r.NewMessage] = messages) -> list[r.Answer]:
            mixed = Random(n).sample(these, len(these))
            return transact(store, [r.Send(message) for message in mixed])

        told = Counter(word for answers in rivals.together(send_all) for word in words(answers))
        assert told == {"accepted": 20, "duplicate": 7 * 20}


def test_an_id_with_eight_contents_is_accepted_with_one_of_them(rivals: Rivals) -> None:
    for _ in range(8):
        id = an_id()

        def send_mine(store: PostgresStore, n: int, same: bytes = id) -> r.Answer:
            return asked(store, r.Send(a_message(body=b'{"n":%d}' % n, id=same)))

        assert words(rivals.together(send_mine)) == ["accepted"] + ["conflict"] * 7


def test_outputs_with_one_id_and_eight_contents_refuse_all_acks_but_one(rivals: Rivals) -> None:
    for _ in range(8):
        for _ in range(MANY):
            send(rivals.first)
        held, id = claim(rivals.first, MANY), an_id()

        def ack(store: PostgresStore, n: int, mine: list[r.Delivery] = held, same: bytes = id) -> r.Answer:
            output = r.Send(a_message(body=b'{"n":%d}' % n, id=same), bounded=False)
            return asked(store, settlement(mine[n], outputs=[output]))

        assert words(rivals.together(ack)) == ["conflict"] * 7 + ["done"]
        for delivery in held:
            asked(rivals.first, settlement(delivery))


def test_a_repeat_while_its_message_is_acknowledged_is_a_duplicate(rivals: Rivals) -> None:
    for _ in range(12):
        message = a_message()
        send(rivals.first, message)
        (delivery,) = claim(rivals.first)

        def repeat_or_ack(
            store: PostgresStore, n: int, one: r.NewMessage = message, mine: r.Delivery = delivery
        ) -> r.Answer:
            return asked(store, r.Send(one) if n else settlement(mine))

        assert words(rivals.together(repeat_or_ack)) == ["done"] + ["duplicate"] * 7
        assert counts(rivals.first).ready == 0


def test_of_eight_messages_with_one_dedup_key_one_is_live(rivals: Rivals) -> None:
    for _ in range(8):
        answers = rivals.together(lambda store, _: asked(store, r.Send(a_message(dedup_key="once"))))
        assert words(answers) == ["accepted"] + ["duplicate"] * 7
        (delivery,) = claim(rivals.first)
        assert {answer.id for answer in answers if isinstance(answer, r.Accepted)} == {delivery.id}
        settle(rivals.first, delivery)


def test_a_dedup_key_is_free_again_as_soon_as_its_message_is_done(rivals: Rivals) -> None:
    """Each answer names a message that was live: accepted by somebody, and by nobody twice."""

    def send_and_ack(store: PostgresStore, n: int) -> tuple[list[bytes], list[bytes]]:
        accepted: list[bytes] = []
        named: list[bytes] = []
        for _ in range(15):
            answer = do(store, r.Send(a_message(dedup_key="once")), r.Accepted)
            (accepted if answer.state == "accepted" else named).append(answer.id)
            for delivery in claim(store):
                settle(store, delivery)
        return accepted, named

    found = rivals.together(send_and_ack)
    accepted = [id for ids, _ in found for id in ids]
    assert len(set(accepted)) == len(accepted) == counts(rivals.first).accepted
    assert {id for _, ids in found for id in ids} <= set(accepted)


def test_no_mail_stays_in_an_inbox_that_is_ended_while_eight_send_to_it(rivals: Rivals) -> None:
    for _ in range(8):
        register(rivals.first, INBOX)

        def send_or_end(store: PostgresStore, n: int) -> list[r.Answer]:
            if n == 0:
                return [asked(store, r.Control(INBOX, r.Switch.END))]
            return [asked(store, r.Send(a_message())) for _ in range(5)]

        said = Counter(word for answers in rivals.together(send_or_end) for word in words(answers))
        assert said["accepted"] + said[InboxEnded.code] == 5 * (MANY - 1)
        left = counts(rivals.first)
        assert (left.ready, left.held, left.delayed, left.accepted - left.bounced) == (0, 0, 0, 0)


def test_mail_of_a_key_that_is_paused_while_eight_send_it_is_held_and_all_of_it_resumes(
    rivals: Rivals,
) -> None:
    for _ in range(6):
        rivals.together(
            lambda store, n: (
                asked(store, r.Send(a_message(correlation_id="red")))
                if n
                else asked(store, r.Control(INBOX, r.Switch.PAUSE, "red"))
            )
        )
        assert (counts(rivals.first).ready, counts(rivals.first).held) == (0, MANY - 1)
        rivals.together(
            lambda store, n: (
                asked(store, r.Send(a_message(correlation_id="red")))
                if n
                else asked(store, r.Control(INBOX, r.Switch.RESUME, "red"))
            )
        )
        assert (counts(rivals.first).ready, counts(rivals.first).held) == (2 * (MANY - 1), 0)
        asked(rivals.first, r.Control(INBOX, r.Switch.PURGE))


def test_mail_that_is_held_for_somebody_who_registers_just_then_is_given_to_them(rivals: Rivals) -> None:
    for n in range(6):
        address = f"worker/late{n}"

        def hold_or_register(store: PostgresStore, n: int, to: str = address) -> r.Answer:
            hold = r.Send(a_message(to), r.Unrouted.HOLD)
            return asked(store, hold if n else r.Register((r.InboxSpec(to),)))

        answers = rivals.together(hold_or_register)
        assert all(isinstance(answer, (r.Accepted, r.Changed)) for answer in answers), answers
        assert (counts(rivals.first, address).ready, counts(rivals.first, address).held) == (MANY - 1, 0)


def test_repeats_of_messages_that_are_swept_just_then_are_duplicates(rivals: Rivals) -> None:
    messages = [a_message() for _ in range(40)]
    for message in messages:
        send(rivals.first, message)
    for delivery in claim(rivals.first, 100):
        settle(rivals.first, delivery)
    newest = send(rivals.first)

    def repeat_or_sweep(store: PostgresStore, n: int) -> list[r.Answer]:
        if n < 2:
            return [asked(store, r.Sweep(0, DAY, 7)) for _ in range(20)]
        return [asked(store, r.Send(message)) for message in Random(n).sample(messages, len(messages))]

    for answers in rivals.together(repeat_or_sweep)[2:]:
        assert set(words(answers)) == {"duplicate"}
    assert [d.id for d in claim(rivals.first)] == [newest.id]
    assert rivals.first.message(messages[0].id) is None


def test_a_full_inbox_that_drops_its_oldest_is_sent_to_by_eight(rivals: Rivals) -> None:
    register(rivals.first, INBOX, bound=5, policy="drop-oldest")

    def send_ten(store: PostgresStore, n: int) -> list[r.Answer]:
        return [asked(store, r.Send(a_message())) for _ in range(10)]

    said = Counter(word for answers in rivals.together(send_ten) for word in words(answers))
    found = counts(rivals.first)
    assert (found.accepted, found.ready + found.dead) == (said["accepted"],) * 2
    assert 5 <= found.ready <= 5 + MANY


@pytest.mark.parametrize("there", [True, False])
def test_no_update_of_a_record_is_lost_among_eight_writers(rivals: Rivals, there: bool) -> None:
    if there:
        asked(rivals.first, r.Put((r.Write("owner", "sum", "it", b"0"),)))

    def add(store: PostgresStore, n: int) -> int:
        tries = 0
        for _ in range(6):
            while True:
                tries += 1
                found = store.records("owner", "sum", "it")
                version, value = (found[0].version, int(found[0].value)) if found else (0, 0)
                put = r.Put((r.Write("owner", "sum", "it", b"%d" % (value + 1), version),))
                if not isinstance(asked(store, put), Conflict):
                    break
        return tries

    rivals.together(add)
    (kept,) = rivals.first.records("owner", "sum", "it")
    assert (kept.value, kept.version) == (b"%d" % (6 * MANY), 6 * MANY + there)


def test_a_key_that_eight_would_make_is_made_by_one(rivals: Rivals) -> None:
    for n in range(8):
        put = r.Put((r.Write("owner", "new", str(n), b"1", 0),))
        assert words(rivals.all_ask(put)) == ["changed"] + ["conflict"] * 7


def test_records_that_are_written_and_deleted_by_eight_without_looking_end_as_one_of_them_left_them(
    rivals: Rivals,
) -> None:
    def write(store: PostgresStore, n: int) -> None:
        keys = Random(n).sample("abcdef", 6)
        for k, key in enumerate(keys):
            value = None if (n + k) % 3 == 0 else b"%d" % n
            assert isinstance(asked(store, r.Put((r.Write("owner", "any", key, value),))), r.Changed)

    rivals.together(write)
    assert all(record.value in {b"%d" % n for n in range(MANY)} for record in rivals.first.records("owner"))
