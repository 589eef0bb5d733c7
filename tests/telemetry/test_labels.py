from __future__ import annotations

import pytest

from postroom.store.errors import BadInput
from postroom.store.records import Record
from postroom.telemetry.labels import OTHER, Allowed, FirstSeen, declaration, declared_in


def test_a_declaration_reads_back_as_the_declared_inboxes() -> None:
    put = declaration(["worker/a", "any:worker"])
    records = [Record(w.owner, w.kind, w.key, 1, w.value or b"") for w in put.writes]
    assert declared_in(records) == {"worker/a", "any:worker"}


def test_what_is_no_address_cannot_be_declared() -> None:
    with pytest.raises(BadInput):
        declaration(["not an address"])


def test_values_beyond_the_cap_are_other_whatever_their_order() -> None:
    values = [f"worker/{n:03}" for n in range(300)]
    forwards, backwards = Allowed(values, 200), Allowed(values[::-1], 200)
    assert forwards.label("worker/199") == backwards.label("worker/199") == "worker/199"
    assert forwards.label("worker/200") == backwards.label("worker/200") == OTHER


def test_values_that_come_as_they_like_are_capped_too() -> None:
    seen = FirstSeen(["a"], cap=2)
    assert [seen.label(value) for value in "abcb"] == ["a", "b", OTHER, "b"]
