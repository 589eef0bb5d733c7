"""What an earlier copy, or somebody else, has left at the target: gone on with, told of, or not touched."""

from __future__ import annotations

from contextlib import closing

import pytest
from copied import a_little, after_a_reboot, cut_off, gone_on, in_schema, looked_at, opened
from port_verbs import SECOND, a_message, do

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.copying.copy import copy
from postroom.store.copying.into_file import FileTarget
from postroom.store.errors import Conflict, StoreUnavailable
from postroom.store.postgres.urls import read_url
from postroom.store.urls import store_path

pytestmark = pytest.mark.usefixtures("small_steps")


@pytest.mark.long
@pytest.mark.parametrize("change", ["send", "claim", "put", "control"])
def test_a_source_that_has_changed_is_told_of_and_copied_anew_on_demand(
    change: str, source: str, either: str, clock: ManualClock
) -> None:
    cut_off(source, either, clock, 12)
    operations: dict[str, r.Operation] = {
        "send": r.Send(a_message()),
        "claim": r.Claim(("worker/b",), 1, lease_us=SECOND),
        "put": r.Put((r.Write("me", "kind", "key", b"2"),)),
        "control": r.Control("worker/b", r.Switch.PAUSE),
    }
    with closing(opened(source, clock)) as store:
        do(store, operations[change], object)
    with pytest.raises(Conflict, match="has changed since") as refused:
        gone_on(source, either, clock)
    assert "--anew" in str(refused.value)
    done = copy(source, either, clock=clock, anew=True)
    assert not any(done.found.values())
    assert looked_at(either, clock) == after_a_reboot(source, clock)


def test_what_is_left_of_a_copy_of_another_store_is_not_touched(
    source: str, either: str, clock: ManualClock
) -> None:
    other = a_little(f"{source}.other", clock)
    cut_off(source, either, clock, 12)
    with pytest.raises(Conflict, match=r"unfinished copy of sqlite:.*/a.db at"):
        gone_on(other, either, clock)
    assert gone_on(source, either, clock)[0].found["messages"]


@pytest.mark.long
def test_a_copy_that_is_begun_anew_throws_away_what_another_left(
    source: str, either: str, clock: ManualClock
) -> None:
    other = a_little(f"{source}.other", clock)
    cut_off(source, either, clock, 12)
    copy(other, either, clock=clock, anew=True)
    assert looked_at(either, clock) == after_a_reboot(other, clock)


@pytest.mark.long
def test_anew_replaces_no_store(source: str, either: str, clock: ManualClock) -> None:
    copy(source, either, clock=clock)
    with pytest.raises(Conflict, match="a copy replaces nothing"):
        copy(source, either, clock=clock, anew=True)


def test_what_another_version_of_postroom_began_is_not_gone_on_with(
    source: str, target: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(source, target, clock, 12)
    monkeypatch.setattr(FileTarget, "schema", FileTarget.schema + 1)
    with pytest.raises(Conflict, match=r"another version.*--anew"):
        gone_on(source, target, clock)


@pytest.mark.parametrize("suffix", [".copying", ".copying.json"])
@pytest.mark.parametrize("anew", [False, True])
def test_a_file_that_no_copy_has_left_is_not_touched(
    suffix: str, anew: bool, source: str, target: str, clock: ManualClock
) -> None:
    there = store_path(f"{target}{suffix}")
    there.write_text("precious")
    with pytest.raises(Conflict, match="no copy that was cut off has left it"):
        copy(source, target, clock=clock, anew=anew)
    assert there.read_text() == "precious"


def test_another_database_that_took_the_place_of_the_copy_is_not_touched(
    source: str, target: str, clock: ManualClock
) -> None:
    cut_off(source, target, clock, 12)
    part = store_path(f"{target}.copying")
    part.unlink()
    a_little(f"sqlite:///{part}2", clock)
    whole = part.with_name(f"{part.name}2").read_bytes()
    part.write_bytes(whole[:68] + b"\0\0\0\1" + whole[72:])
    with pytest.raises(Conflict, match="another program's database"):
        gone_on(source, target, clock)
    assert part.exists()


@pytest.mark.long
def test_a_schema_in_which_somebody_has_such_a_table_is_not_touched(
    source: str, postgres_url: str, clock: ManualClock
) -> None:
    schema = read_url(postgres_url).schema
    in_schema(postgres_url, f"CREATE SCHEMA {schema}")
    in_schema(postgres_url, "CREATE TABLE unfinished_copy (mark text, steps int)")
    in_schema(postgres_url, "CREATE TABLE unfinished_store (n int)")
    in_schema(postgres_url, "INSERT INTO unfinished_copy VALUES ('precious', 1)")
    for anew in (False, True):
        with pytest.raises(Conflict, match="unfinished_copy in it"):
            copy(source, postgres_url, clock=clock, anew=anew)
    assert in_schema(postgres_url, "SELECT * FROM unfinished_copy") == [("precious", 1)]


def test_a_copy_that_may_not_begin_leaves_nothing(source: str, target: str, clock: ManualClock) -> None:
    folder = store_path(target).parent
    with closing(opened(source, clock)) as store:
        before = sorted(folder.iterdir())
        with pytest.raises(StoreUnavailable, match="in use"):
            copy(source, target, clock=clock)
        assert sorted(folder.iterdir()) == before
        assert store.verify().ok
