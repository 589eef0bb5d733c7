"""What is on record of a run fits its types, holds no secret, and can be read from anywhere on."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from attrs import fields
from hypothesis import example, given
from hypothesis import strategies as st
from scribe import Scribe

from postroom.actors.convoys import events as e
from postroom.actors.convoys.names import EVENTS, manager_of, number_key
from postroom.actors.convoys.record.facts import Fact, RawFact, facts, fault_of, iso, page_before, pages
from postroom.actors.convoys.record.putting import LONGEST_EVENT, LONGEST_PAGE, LONGEST_TEXT, NAMED, pages_of
from postroom.actors.convoys.record.secrets import find
from postroom.actors.convoys.wires import convoy_wire
from postroom.mailbox import codec
from postroom.store.errors import BadInput
from postroom.store.records import Put, Write
from postroom.store.transact import transact_one

TOKEN = "ghp_" + "a1B2" * 9
VALUES: dict[str, Any] = {
    "int": 7,
    "float": 0.5,
    "bool": True,
    "int | None": None,
    "bool | None": None,
    "tuple[str, ...]": ("one",),
}


def made(kind: type, text: str = "words") -> object:
    """An event of this class, with these words for each of its texts."""
    return kind(*[VALUES.get(str(field.type), text) for field in fields(kind)])


def on_record(*events: object) -> list[Fact]:
    return [fact for page in pages_of(events, 1, 1.0) for fact in page]


@pytest.mark.parametrize("name", e.TYPES)
def test_every_event_comes_back_from_the_store_as_it_was_put_there(name: str) -> None:
    kind = e.TYPES[name]
    event = made(kind)
    scribe = Scribe()
    scribe.write(event)
    (fact,) = facts(scribe.store, "r1")
    assert (fact.seq, fact.at, fact.type) == (1, 1000.0, name)
    assert fault_of(fact) == ""
    fields_of_event = {field.name: getattr(event, field.name) for field in fields(kind)}
    assert codec.encode(fact.data) == codec.encode(fields_of_event)


@pytest.mark.parametrize("name", e.TYPES)
def test_no_event_is_larger_than_it_may_be(name: str) -> None:
    kind = e.TYPES[name]
    long = [("x" * 128 if field.name in NAMED else "\x01" * (1 << 20)) for field in fields(kind)]
    event = kind(*(VALUES.get(str(f.type), text) for f, text in zip(fields(kind), long, strict=True)))
    (fact,) = on_record(event)
    assert len(codec.encode(fact.data)) <= LONGEST_EVENT
    assert fault_of(fact) == ""


def test_what_is_left_out_of_a_long_text_is_its_middle() -> None:
    (fact,) = on_record(e.ConvoyPaused("first words " + "x" * 9000 + " last words"))
    text = fact.data["reason"]
    assert text.startswith("first words x")
    assert text.endswith("x last words")
    assert "characters left out" in text


def test_a_secret_in_the_middle_of_a_long_text_is_not_cut_in_two() -> None:
    for before in range(LONGEST_TEXT // 2 - 60, LONGEST_TEXT // 2 + 1, 5):
        fact, _ = on_record(e.ConvoyPaused(f"{'x ' * (before // 2)}{TOKEN} {'y' * LONGEST_TEXT}"))
        assert TOKEN[4:14] not in fact.data["reason"]


def test_a_secret_is_taken_out_and_an_event_says_so() -> None:
    event, note = on_record(e.TaskRetried("t", 1, "error", f"exit 1: bad token {TOKEN}", 1.0))
    assert event.data["reason"] == "exit 1: bad token [redacted: github-token]"
    assert (note.seq, note.type) == (2, "secret.redacted")
    assert note.data == {"task": "t", "where": "task.retried", "kinds": ("github-token",)}
    assert fault_of(note) == ""


@pytest.mark.parametrize("name", e.TYPES)
def test_no_text_of_an_event_is_a_way_out_for_a_secret(name: str) -> None:
    kind = e.TYPES[name]
    event = kind(
        *(VALUES.get(str(f.type), "named" if f.name in NAMED else f"say {TOKEN}") for f in fields(kind))
    )
    assert not find(str([fact.data for fact in on_record(event)]))


@given(st.lists(st.integers(0, 6000), max_size=300))
@example([6000] * 40)
def test_pages_fit_a_record_and_number_their_facts_in_order(lengths: list[int]) -> None:
    written = list(pages_of((e.ConvoyPaused("\x01" * n) for n in lengths), 5, 1.0))
    assert [fact.seq for page in written for fact in page] == list(range(5, 5 + len(lengths)))
    for page in written:
        assert page
        assert len(convoy_wire().encode(page)) < LONGEST_PAGE + LONGEST_EVENT


def test_a_turn_that_ends_ten_thousand_tasks_can_be_kept() -> None:
    reason = "the convoy was stopped: " + "why " * 90
    scribe = Scribe()
    scribe.write(*(e.TaskEnded(f"task-{n}", "cancelled", reason) for n in range(10_000)))
    assert scribe.pages > 1
    assert [fact.data["task"] for fact in facts(scribe.store, "r1")] == [f"task-{n}" for n in range(10_000)]


# Reading


def test_reading_begins_after_any_page_and_ends_with_the_last() -> None:
    scribe = Scribe()
    for count in (1, 3, 2):
        scribe.write(*(e.ConvoyPaused(f"{scribe.pages}/{n}") for n in range(count)))
    assert [[fact.seq for fact in page] for page in pages(scribe.store, "r1")] == [[1], [2, 3, 4], [5, 6]]
    assert [fact.seq for fact in facts(scribe.store, "r1", 1)] == [2, 3, 4, 5, 6]
    assert list(facts(scribe.store, "r1", 3)) == []
    assert list(facts(scribe.store, "another")) == []


@given(st.lists(st.integers(1, 4), max_size=40), st.integers(-1, 170))
def test_the_page_before_a_fact_is_the_last_that_ends_before_it(sizes: list[int], seq: int) -> None:
    scribe = Scribe()
    for size in sizes:
        scribe.write(*(e.ConvoyPaused("") for _ in range(size)))
    before = page_before(scribe.store, "r1", seq)
    left = [fact.seq for fact in facts(scribe.store, "r1", before)]
    if 1 <= seq <= scribe.events:
        assert seq in left[: sizes[before]]
    assert not left or left[0] <= max(1, seq)


def test_finding_a_page_among_many_reads_few(monkeypatch: pytest.MonkeyPatch) -> None:
    scribe = Scribe()
    for _ in range(1000):
        scribe.write(e.ConvoyPaused(""))
    reads: list[str] = []
    records = scribe.store.records

    def counted(owner: str, kind: str | None = None, key: str | None = None) -> Any:
        reads.append(key or "")
        return records(owner, kind, key)

    monkeypatch.setattr(scribe.store, "records", counted)
    assert page_before(scribe.store, "r1", 777) == 776
    assert len(reads) < 25


def test_a_page_that_cannot_be_read_is_named() -> None:
    scribe = Scribe()
    scribe.write(e.ConvoyPaused(""))
    transact_one(scribe.store, Put((Write(manager_of("r1"), EVENTS, number_key(2), b'{"no":"page"}'),)))
    with pytest.raises(BadInput, match="page 2 of the record"):
        list(facts(scribe.store, "r1"))


# Faults


@pytest.mark.parametrize(
    ("type", "data", "fault"),
    [
        ("task.gone", {}, "no event is of type task.gone"),
        ("convoy.paused", {"reason": "x", "more": 1}, "convoy.paused has no more"),
        ("convoy.paused", {}, "convoy.paused: Object missing required field `reason`"),
        ("convoy.paused", {"reason": 1}, "convoy.paused: Expected `str`, got `int` - at `$.reason`"),
        ("convoy.started", {"tasks": "3"}, "convoy.started: Expected `int`, got `str` - at `$.tasks`"),
        ("secret.redacted", {"task": "", "where": "", "kinds": [1]}, "secret.redacted: Expected `str`, got"),
    ],
)
def test_a_fact_that_is_no_event_is_told_from_one(type: str, data: dict[str, Any], fault: str) -> None:
    assert fault_of(Fact(1, 1.0, type, data)).startswith(fault)


def test_no_field_of_an_event_has_the_name_of_a_field_of_its_line() -> None:
    taken = {"seq", "at", "run", "type"}
    assert taken.isdisjoint(field.name for kind in e.TYPES.values() for field in fields(kind))
    assert [field.name for field in fields(Fact)] == list(RawFact.__struct_fields__)


@given(st.lists(st.integers(0, 4_000_000_000_000_000), min_size=2, unique=True))
def test_times_are_utc_to_the_microsecond_and_in_order_as_text(micros: list[int]) -> None:
    texts = [iso(n / 1_000_000) for n in sorted(micros)]
    assert all(a <= b for a, b in pairwise(texts))
    assert iso(0.000001) == "1970-01-01T00:00:00.000001Z"
