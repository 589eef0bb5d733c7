"""Several exporters of one real store."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families

from postroom.store.clock import ManualClock
from postroom.store.memory import MemoryStore
from postroom.store.port import Store
from postroom.store.records import (
    Claim,
    Claimed,
    InboxSpec,
    NewMessage,
    Register,
    Send,
    Settle,
    Verdict,
)
from postroom.store.transact import transact_one
from postroom.store.urls import open_store
from postroom.telemetry.labels import declare
from postroom.telemetry.metrics import Metrics, render_store


def work(store: Store) -> None:
    """Three messages: one done, one dead, one still waiting."""
    transact_one(store, Register((InboxSpec("worker/a"), InboxSpec("worker/b"))))
    for n in range(3):
        message = NewMessage(
            id=UUID(int=n, version=4).bytes,
            recipient="worker/a",
            sender="operator/cli",
            type="t",
            body=b"{}",
        )
        transact_one(store, Send(message))
    claimed = transact_one(store, Claim(("worker/a",), 2))
    assert isinstance(claimed, Claimed)
    for delivery, verdict in zip(claimed.deliveries, (Verdict.ACK, Verdict.DEAD), strict=True):
        transact_one(store, Settle(delivery.id, delivery.fence, verdict))


def store_samples(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """The samples of store families, which are those that ``render_store`` shows."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_exporter_of_one_store_shows_the_same() -> None:
    first = MemoryStore(ManualClock())
    second = first.another_handle()
    declare(first, ["worker/a"])
    work(first)
    one, other = render_store(first), render_store(second)
    assert one == other
    watched = store_samples(Metrics(second).render())
    assert store_samples(one).items() <= watched.items()
    seen = store_samples(one)
    assert seen["postroom_messages", ("worker/a", "worker", "ready")] == 1
    assert seen["postroom_dead_letters", ("worker/a", "worker")] == 1
    assert seen["postroom_messages_final_total", ("worker/a", "worker", "done")] == 1
    assert seen["postroom_messages_accepted_total", ("worker/a", "worker")] == 3
    assert seen["postroom_inboxes", ("worker", "open")] == 3  # with any:worker


def test_declaring_again_writes_nothing() -> None:
    store = MemoryStore(ManualClock())
    declare(store, ["worker/a"])
    before = store.records("postroom/telemetry")
    declare(store, ["worker/a"])
    assert store.records("postroom/telemetry") == before


@pytest.mark.parametrize("restart", [True, False])
async def test_counters_of_a_file_go_on_after_a_restart(tmp_path: Path, restart: bool) -> None:
    url = f"sqlite:///{tmp_path / 'postroom.db'}"
    store = open_store(url, create=True)
    work(store)
    before = store_samples(render_store(store))
    if restart:
        store.close()
        store = open_store(url, create=False)
    scraped = await Metrics(store).scrape()
    after = store_samples(scraped.body)
    store.close()
    counters = {key: value for key, value in before.items() if key[0].endswith("_total")}
    assert counters.items() <= after.items()
    assert counters["postroom_messages_accepted_total", ("other", "worker")] == 3
