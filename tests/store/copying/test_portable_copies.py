"""Portable stores are copied to and from like any other."""

from __future__ import annotations

from copied import after_a_reboot, in_schema, looked_at
from rivals import portable

from postroom.store.clock import ManualClock
from postroom.store.copying.copy import copy
from postroom.store.postgres.locks import GATES


def test_a_store_goes_to_a_portable_one_and_back_with_all_it_has(
    source: str, target: str, postgres_url: str, clock: ManualClock
) -> None:
    copy(source, portable(postgres_url), clock=clock)
    assert in_schema(postgres_url, "SELECT to_regclass('gate') IS NOT NULL, to_regclass('message_live')") == [
        (True, None)
    ]
    on_server = looked_at(postgres_url, clock)
    copy(postgres_url, target, clock=clock)
    assert on_server == looked_at(target, clock) == after_a_reboot(source, clock)


def test_nobody_can_change_a_portable_store_while_it_is_copied(
    source: str, target: str, postgres_url: str, clock: ManualClock
) -> None:
    copy(source, portable(postgres_url), clock=clock)
    free: list[int] = []

    def look(*_: object) -> None:
        free.append(len(in_schema(postgres_url, "SELECT one FROM gate FOR SHARE SKIP LOCKED")))

    copy(postgres_url, target, clock=clock, progress=look)
    assert set(free) == {0}
    assert len(in_schema(postgres_url, "SELECT one FROM gate FOR SHARE SKIP LOCKED")) == GATES
