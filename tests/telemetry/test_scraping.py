from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import trio
import trio.testing
from prometheus_client import REGISTRY
from prometheus_client import parser as text_parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser

from postroom.store.clock import ManualClock
from postroom.store.errors import StoreUnavailable
from postroom.store.events import BatchCommitted, TurnsEnded
from postroom.store.port import Store
from postroom.store.records import InboxCounts, Record, Session, Term
from postroom.telemetry.labels import declaration
from postroom.telemetry.metrics import Metrics, render_store

# Read here because no test sees the settings that pytest was started with.
PROMTOOL_IS_REQUIRED = os.environ.get("POSTROOM_REQUIRE_PROMTOOL") == "1"


class ReadOnlyStore:
    """The reading half of a store. ``before`` runs at each read and may raise or hang."""

    is_remote = False

    def __init__(self, *, commits_in_thread: bool = False) -> None:
        self.clock = ManualClock()
        self.commits_in_thread = commits_in_thread
        self.kept: list[Record] = []
        self.before: Callable[[], None] = lambda: None
        self.reads = 0

    def counts(self, inbox: str | None = None) -> list[InboxCounts]:
        self.reads += 1
        self.before()
        return []

    def sessions(self) -> list[Session]:
        now = self.clock.now().boot
        return [
            Session(1, "a", "runtime", "p", now + 1, True),
            Session(2, "b", "runtime", "p", now, True),
            Session(3, "c", "runtime", "p", now + 1, False),
        ]

    def activations(self) -> list[Term]:
        return []

    def records(self, owner: str, kind: str | None = None, key: str | None = None) -> list[Record]:
        return [record for record in self.kept if record.owner == owner]

    @property
    def port(self) -> Store:
        """This object as what the code under test takes."""
        return cast(Store, self)


def parse_text(text: bytes) -> list[Metric]:
    """The families of an exposition, as the official parser reads them."""
    return list(text_parser.text_string_to_metric_families(text.decode()))


def parse_openmetrics(text: bytes) -> list[Metric]:
    """The same for the OpenMetrics format, whose parser checks more."""
    parser = cast(Any, openmetrics_parser)
    return list(parser.text_string_to_metric_families(text.decode()))


def fail() -> None:
    raise StoreUnavailable("cannot read", "told so")


def value_in(text: bytes, name: str, **labels: str) -> float | None:
    """The value of one sample in an exposition, None where it is missing."""
    for family in parse_text(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


@pytest.fixture
def watched() -> Metrics:
    """Metrics that have seen a little of everything."""
    metrics = Metrics(ReadOnlyStore().port, inboxes=["worker/a", "any:worker"], roles=["worker"])
    metrics(BatchCommitted(3, 0.001, True))
    metrics(TurnsEnded("worker", "ack", [(0.1, 0.2)]))
    return metrics


def test_the_official_parsers_accept_both_formats(watched: Metrics) -> None:
    text = {family.name for family in parse_text(watched.render())}
    openmetrics = {family.name for family in parse_openmetrics(watched.render(openmetrics=True))}
    assert "postroom_messages" in text & openmetrics
    assert "postroom_turn_wait_seconds" in text & openmetrics
    assert text == openmetrics


def test_nothing_is_registered_for_the_whole_process() -> None:
    before = [family.name for family in REGISTRY.collect()]
    another = Metrics(ReadOnlyStore().port)
    assert b"postroom_build_info" in another.render()
    assert [family.name for family in REGISTRY.collect()] == before


def test_only_sessions_whose_lease_holds_are_counted(watched: Metrics) -> None:
    assert value_in(watched.render(), "postroom_sessions", kind="runtime") == 1


def test_a_reading_serves_for_one_second() -> None:
    store = ReadOnlyStore()
    metrics = Metrics(store.port)
    metrics.render()
    store.clock.advance(0.9)
    metrics.render()
    assert store.reads == 1
    store.clock.advance(0.1)
    metrics.render()
    assert store.reads == 2


def test_a_store_that_fails_shows_as_scrape_error_and_without_old_figures() -> None:
    store = ReadOnlyStore()
    metrics = Metrics(store.port, inboxes=["worker/a"])
    assert value_in(metrics.render(), "postroom_scrape_error") == 0
    store.before = fail
    store.clock.advance(2)
    failed = metrics.render()
    assert value_in(failed, "postroom_scrape_error") == 1
    assert b"postroom_messages" not in failed
    assert b"postroom_commit_seconds" in failed
    store.before = lambda: None
    assert value_in(metrics.render(), "postroom_scrape_error") == 0


@pytest.mark.parametrize("remote", [False, True])
def test_each_change_is_one_line_of_the_log_but_a_server_has_told_it_itself(
    remote: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = ReadOnlyStore()
    store.is_remote = remote
    metrics = Metrics(store.port)
    for before in (fail, fail, lambda: None):
        store.before = before
        metrics.render()
        store.clock.advance(2)
    lines = ["metrics: the store could not be read: cannot read: told so", "metrics: the store is read again"]
    assert caplog.messages == ([] if remote else lines)


def test_the_metrics_command_says_that_the_store_fails() -> None:
    store = ReadOnlyStore()
    store.before = fail
    with pytest.raises(StoreUnavailable):
        render_store(store.port)


def test_an_inbox_declared_by_one_process_is_labelled_by_every_exporter() -> None:
    store = ReadOnlyStore()
    store.kept = [
        Record(write.owner, write.kind, write.key, 1, b"true") for write in declaration(["worker/a"]).writes
    ]
    labels = {"role": "worker", "inbox": "worker/a"}
    exporters = (render_store(store.port), Metrics(store.port).render())
    for text in exporters:
        assert value_in(text, "postroom_dead_letters", **labels) == 0


async def test_a_scrape_answers_in_the_format_that_was_asked_for(watched: Metrics) -> None:
    plain = await watched.scrape()
    asked = await watched.scrape("application/openmetrics-text; version=1.0.0")
    assert plain.content_type.startswith("text/plain")
    assert asked.content_type.startswith("application/openmetrics-text")
    assert asked.body.endswith(b"# EOF\n")


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds a read until it is set; set at the end so that no thread is left behind."""
    event = threading.Event()
    yield event
    event.set()


async def test_scrapes_at_the_same_time_share_one_read(gate: threading.Event) -> None:
    store = ReadOnlyStore(commits_in_thread=True)
    store.before = lambda: cast(None, gate.wait())
    metrics = Metrics(store.port)
    errors: list[float | None] = []

    async def scrape() -> None:
        errors.append(value_in((await metrics.scrape()).body, "postroom_scrape_error"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(scrape)
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
    assert store.reads == 1
    assert errors == [0.0] * 5


async def test_a_read_that_hangs_is_given_up_and_not_started_twice(
    gate: threading.Event, autojump_clock: trio.testing.MockClock
) -> None:
    store = ReadOnlyStore(commits_in_thread=True)
    store.before = lambda: cast(None, gate.wait())
    metrics = Metrics(store.port)
    for _ in range(2):
        scraped = await metrics.scrape()
        assert value_in(scraped.body, "postroom_scrape_error") == 1
    assert store.reads == 1


async def test_the_event_loop_is_measured_once_a_second(
    watched: Metrics, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(10.5):
        await watched.watch_loop()
    assert value_in(watched.render(), "postroom_event_loop_lag_seconds_count") == 10


async def test_a_stall_of_the_event_loop_is_counted_once(
    watched: Metrics, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.watch_loop)
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(5.0)
        await trio.sleep(10.5)
        nursery.cancel_scope.cancel()
    assert value_in(watched.render(), "postroom_event_loop_lag_seconds_sum") == pytest.approx(4.0)


def test_promtool_has_nothing_to_complain_about(watched: Metrics) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        assert not PROMTOOL_IS_REQUIRED, "promtool is required here"
        pytest.skip("promtool is not installed (Debian package prometheus)")
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=watched.render(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (checked.returncode, checked.stderr) == (0, b"")
