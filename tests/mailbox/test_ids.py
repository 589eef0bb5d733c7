from __future__ import annotations

from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mailbox.ids import IdMaker, derive, id_text, made_at, parse_id
from postroom.store.clock import ManualClock
from postroom.store.errors import BadInput


class _Still(Random):
    """Chance that always gives the greatest number."""

    def getrandbits(self, k: int) -> int:
        return (1 << k) - 1


def test_new_ids_are_uuids_of_version_7_and_tell_their_millisecond() -> None:
    clock = ManualClock()
    id = IdMaker(clock, Random(1)).new()
    assert (UUID(bytes=id).version, UUID(bytes=id).variant) == (7, "specified in RFC 4122")
    assert made_at(id) == clock.now().wall // 1000 * 1000


@given(st.lists(st.floats(-5, 5), max_size=60), st.integers())
def test_ids_of_one_maker_always_grow_whatever_the_clock_does(steps: list[float], seed: int) -> None:
    clock = ManualClock()
    maker = IdMaker(clock, Random(seed))
    made = [maker.new()]
    for step in steps:
        clock.step_wall(step)
        made.append(maker.new())
    assert made == sorted(set(made))
    assert {UUID(bytes=id).version for id in made} == {7}


def test_ids_grow_even_when_a_millisecond_is_used_up() -> None:
    clock = ManualClock()
    maker = IdMaker(clock, _Still())
    maker._tail, maker._millis = (1 << 74) - 2, clock.now().wall // 1000  # pyright: ignore[reportPrivateUsage]
    first, second = maker.new(), maker.new()
    assert first < second
    assert made_at(first) == clock.now().wall // 1000 * 1000 + 1000


def test_the_same_seed_makes_the_same_ids() -> None:
    one, other = (IdMaker(ManualClock(), Random(3)) for _ in range(2))
    assert [one.new() for _ in range(5)] == [other.new() for _ in range(5)]


def test_derived_ids_repeat_for_the_same_turn_and_differ_for_any_other() -> None:
    parent = IdMaker(ManualClock(), Random(1)).new()
    made = {derive(parent, fence, n) for fence in (1, 11, 2) for n in (1, 11, 2)}
    assert len(made) == 9
    assert derive(parent, 1, 2) in made
    assert UUID(bytes=derive(parent, 1, 2)).version == 8
    assert made_at(derive(parent, 1, 2)) is None


@given(st.uuids())
def test_the_text_of_an_id_is_read_back_in_every_usual_spelling(uuid: UUID) -> None:
    assert id_text(uuid.bytes) == str(uuid)
    for text in (str(uuid), str(uuid).upper(), uuid.hex):
        assert parse_id(text) == uuid.bytes


@pytest.mark.parametrize(
    "text", ["", "x", "0" * 31, "0" * 33, "g" * 32, "0" * 8 + "-" + "0" * 27, "٣" * 32, "-" * 36, "0 " * 16]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a message id"):
        parse_id(text)
