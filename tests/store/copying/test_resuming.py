"""A copy that was cut off goes on where it was, and is no store to anybody before it is whole."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import count

import pytest
from copied import Cut, Heard, after_a_reboot, cut_off, gone_on, in_schema, left_in_schema, looked_at, opened
from port_verbs import SECOND
from postgres_server import PostgresServer

from postroom.store.clock import ManualClock
from postroom.store.copying.beside import Beside
from postroom.store.copying.copy import Copied, copy
from postroom.store.errors import Conflict, OutcomeUnknown, Refused, StoreUnavailable
from postroom.store.repair import repair
from postroom.store.shown import is_remote
from postroom.store.states import FENCE_BITS
from postroom.store.urls import store_path

pytestmark = pytest.mark.usefixtures("small_steps")


@pytest.mark.long
@pytest.mark.parametrize(
    "direction", ["file to file", "file to server", "server to file", "server to server"]
)
def test_a_copy_that_is_cut_off_anywhere_goes_on_from_there(
    direction: str, source: str, another_schema: Callable[[str], str], target: str, clock: ManualClock
) -> None:
    whence, _, whither = direction.split()
    if whence == "server":
        copy(source, another_schema("from"), clock=clock)
        source = another_schema("from")
    expected = looked_at(source, clock) if whence == "server" else None
    found: list[dict[str, object]] = []
    for at in count(1, 1 if whence == whither == "file" else 3):
        there = f"{target}{at}" if whither == "file" else another_schema(f"to{at}")
        first = cut_off(source, there, clock, at)
        if len(first.told) < at:
            break
        with pytest.raises(StoreUnavailable, match="no store"):
            opened(there, clock)
        done, second = gone_on(source, there, clock)
        written = first.durable()
        assert done.found == {name: written.get(name, 0) for name in done.rows} | ids_of(done, written, there)
        again = {what for what, n in second.durable().items() if written.get(what) == n}
        assert not again, "what was there was written again"
        assert second.went_on[0][1:] == (done.found["messages"], done.rows["messages"])
        found.append(looked_at(there, clock))
    assert len(found) > 10
    assert all(one == found[0] for one in found)
    assert found[0] == (expected or after_a_reboot(source, clock))


def ids_of(done: Copied, written: dict[str, int], target: str) -> dict[str, int]:
    """A file has the ids with the messages."""
    return {} if is_remote(target) else {"ids": written.get("messages", 0)}


def test_a_copy_may_be_cut_off_many_times(source: str, either: str, clock: ManualClock) -> None:
    begun_at = clock.now().wall
    went_on = [cut_off(source, either, clock, 4).went_on for _ in range(5)]
    went_on.append(gone_on(source, either, clock)[1].went_on)
    assert [len(one) for one in went_on] == [0, 1, 1, 1, 1, 1]
    there = [so_far for one in went_on for _, so_far, _ in one]
    assert there == sorted(there)
    assert there[0] < there[-1]
    (begun,) = {begun for one in went_on for begun, _, _ in one}
    assert abs(begun - begun_at) < 60 * SECOND
    assert looked_at(either, clock) == after_a_reboot(source, clock)


@pytest.mark.long
def test_what_was_written_before_is_compared_with_all_else(
    source: str, either: str, clock: ManualClock
) -> None:
    cut_off(source, either, clock, 12)
    done, heard = gone_on(source, either, clock)
    compared = {what: so_far for kind, what, so_far, _ in heard.told if kind == "compared"}
    assert compared == {what: n for what, n in done.rows.items() if n}


@pytest.mark.long
@pytest.mark.parametrize("at", [2, 20])
def test_time_and_reboots_in_between_do_no_harm(
    at: int, source: str, either: str, clock: ManualClock
) -> None:
    with closing(opened(source, clock)):
        clock.reboot()  # what is leased is back before the copy begins
    with closing(opened(source, clock)):
        clock.advance(100)
    cut_off(source, either, clock, at)
    clock.advance(3600)
    clock.step_wall(-1800)
    clock.reboot()
    clock.advance(50)
    done, heard = gone_on(source, either, clock)
    assert heard.went_on
    clock.step_wall(1800)
    with closing(opened(either, clock)) as store:
        assert store.verify(deep=True).ok
        found = next(m for m in (store.message(one.id) for one in store.peek("worker/a", 99)) if m)
        assert found.fence >> FENCE_BITS == done.epoch


# What is no store to anybody


def test_nobody_makes_a_store_where_a_copy_is_not_finished(
    source: str, postgres_url: str, clock: ManualClock
) -> None:
    cut_off(source, postgres_url, clock, 12)
    for url in (postgres_url, f"{postgres_url}&portable=yes"):
        for create in (True, False):
            with pytest.raises(StoreUnavailable, match="a copy to it was cut off"):
                opened(url, clock, create=create)
    gone_on(source, postgres_url, clock)
    assert looked_at(postgres_url, clock) == after_a_reboot(source, clock)


def test_the_file_of_an_unfinished_copy_is_no_store(source: str, target: str, clock: ManualClock) -> None:
    cut_off(source, target, clock, 12)
    part = f"{target}.copying"
    for create in (True, False):
        with pytest.raises(StoreUnavailable, match="not finished"):
            opened(part, clock, create=create)
    with pytest.raises(StoreUnavailable, match="not finished"):
        repair(part, accept_loss=True)
    assert gone_on(source, target, clock)[0].found["messages"]
    assert looked_at(target, clock) == after_a_reboot(source, clock)


# How it may end


def test_a_file_that_is_whole_only_gets_its_name(
    source: str, target: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Beside) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(Beside, "put_in_place", killed)
        with pytest.raises(Cut):
            copy(source, target, clock=clock)
    done, heard = gone_on(source, target, clock)
    assert heard.told == []
    assert done.rows == done.found | {"events": done.rows["events"], "messages": done.rows["messages"]}
    assert looked_at(target, clock) == after_a_reboot(source, clock)
    assert not list(store_path(target).parent.glob("*.copying*"))


def test_a_file_that_has_its_name_is_finished(source: str, target: str, clock: ManualClock) -> None:
    copy(source, target, clock=clock)
    path = store_path(target)
    path.with_name("b.db.copying").hardlink_to(path)
    path.with_name("b.db.copying.json").write_text("{}")
    with pytest.raises(Conflict, match="the copy to it was finished"):
        copy(source, target, clock=clock)
    assert not list(path.parent.glob("*.copying*"))
    assert looked_at(target, clock) == after_a_reboot(source, clock)


@pytest.mark.long
def test_a_copy_whose_last_commit_is_cut_off_says_that_it_may_be_there(
    source: str, postgres_url: str, clock: ManualClock
) -> None:
    def bar_commit() -> None:
        dies = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid());"
        in_schema(postgres_url, f"CREATE FUNCTION die() {dies} RETURN NULL; END $$")
        late = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()"
        in_schema(postgres_url, f"CREATE CONSTRAINT TRIGGER dies AFTER UPDATE ON message_live {late}")

    with pytest.raises(OutcomeUnknown, match="look whether it is there"):
        copy(source, postgres_url, clock=clock, progress=Heard(1, bar_commit).progress)
    in_schema(postgres_url, "DROP TRIGGER dies ON message_live")
    done, _ = gone_on(source, postgres_url, clock)
    assert done.found == done.rows
    assert looked_at(postgres_url, clock) == after_a_reboot(source, clock)


# What goes wrong on the way


CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'postroom ' || current_schema()"""
"""Cuts every link that somebody has to a store's schema."""


@pytest.mark.long
@pytest.mark.parametrize("cut", ["source", "target"])
def test_a_copy_whose_link_is_cut_goes_on_later(
    cut: str, source: str, another_schema: Callable[[str], str], clock: ManualClock
) -> None:
    middle, end = another_schema("middle"), another_schema("end")
    copy(source, middle, clock=clock)
    heard = Heard(8, lambda: in_schema({"source": middle, "target": end}[cut], CUT))
    with pytest.raises(StoreUnavailable):
        copy(middle, end, clock=clock, progress=heard.progress)
    assert gone_on(middle, end, clock)[0].found["inboxes"]
    assert looked_at(end, clock) == looked_at(middle, clock)


@pytest.mark.long
def test_a_copy_whose_server_stops_goes_on_when_it_is_back(
    source: str, own_postgres: PostgresServer, postgres_url: str, clock: ManualClock
) -> None:
    heard = Heard(12, own_postgres.kill)
    with pytest.raises(StoreUnavailable):
        copy(source, postgres_url, clock=clock, progress=heard.progress)
    with pytest.raises(StoreUnavailable):
        gone_on(source, postgres_url, clock)
    own_postgres.start()
    done, second = gone_on(source, postgres_url, clock)
    assert second.went_on
    assert done.found["messages"] == heard.durable()["messages"]
    assert looked_at(postgres_url, clock) == after_a_reboot(source, clock)


@pytest.mark.long
def test_of_two_copies_that_go_on_with_the_same_one_stops(
    source: str, postgres_url: str, clock: ManualClock
) -> None:
    heard = Heard(8, lambda: in_schema(postgres_url, "UPDATE unfinished_copy SET steps = steps + 1"))
    with pytest.raises(StoreUnavailable, match="another copy to the same place is under way"):
        copy(source, postgres_url, clock=clock, progress=heard.progress)
    assert gone_on(source, postgres_url, clock)[0].found["inboxes"]


@pytest.mark.long
def test_a_pooled_server_is_copied_to_and_from(
    source: str, postgres_url: str, target: str, clock: ManualClock
) -> None:
    url = f"{postgres_url}&pooled=yes"
    cut_off(source, url, clock, 12)
    assert gone_on(source, url, clock)[0].found["messages"]
    cut_off(url, target, clock, 12)
    assert gone_on(url, target, clock)[0].found["messages"]
    assert looked_at(target, clock) == after_a_reboot(source, clock)


@pytest.mark.long
def test_a_copy_to_a_portable_store_goes_on_and_begins_anew_too(
    source: str, postgres_url: str, clock: ManualClock
) -> None:
    url = f"{postgres_url}&portable=yes"
    cut_off(source, url, clock, 12)
    with pytest.raises(Cut):
        copy(source, url, clock=clock, anew=True, progress=Heard(8).progress)
    done, heard = gone_on(source, url, clock)
    assert heard.went_on
    assert 0 < done.found["messages"] < done.rows["messages"]
    assert looked_at(postgres_url, clock) == after_a_reboot(source, clock)


@pytest.mark.long
def test_a_value_that_a_server_cannot_keep_leaves_nothing_to_go_on_with(
    source: str, postgres_url: str, clock: ManualClock
) -> None:
    refuse = "ALTER TABLE event ADD CONSTRAINT picky CHECK (event = '')"
    heard = Heard(3, lambda: in_schema(postgres_url, refuse))
    with pytest.raises(Refused, match="events cannot be copied"):
        copy(source, postgres_url, clock=clock, progress=heard.progress)
    assert left_in_schema(postgres_url) == []
    assert not any(gone_on(source, postgres_url, clock)[0].found.values())
