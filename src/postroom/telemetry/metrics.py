"""The metrics of one runtime, or of one store, in the formats of Prometheus."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import trio
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ..store.port import Store
from .process_families import ProcessFamilies
from .reading import Reader, read
from .store_families import store_families

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
LAG_PERIOD_SECONDS = 1.0


class Exposition(NamedTuple):
    """A rendered scrape."""

    content_type: str
    body: bytes


class Metrics(Collector):
    """Watches one runtime and reads its store: give it as the observer, and render it.

    ``inboxes`` get a label of their own, 200 at most; ``labels.declare`` gives it to them in every
    exporter. ``roles`` show zeros from the start. ``registry`` is this object's own; further
    collectors may be registered there and are rendered too. Nothing is registered globally.
    """

    def __init__(self, store: Store, *, inboxes: Iterable[str] = (), roles: Iterable[str] = ()) -> None:
        self._store = store
        self._inboxes = tuple(inboxes)
        self._roles = tuple(roles)
        self._reader = Reader(store)
        self._process = ProcessFamilies(self._roles)
        self._version = package_version()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def __call__(self, event: object) -> None:
        """Count one event. Takes microseconds and never raises for an event it does not know."""
        self._process(event)

    def describe(self) -> list[Metric]:
        """Nothing: with it, registering would have to read the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families, with the store as it was last read; reads nothing itself."""
        reading = self._reader.latest
        yield scrape_error(reading is None)
        if reading is not None:
            yield from store_families(reading, inboxes=self._inboxes, roles=self._roles)
        yield from self._process.collect()
        yield build_info(self._version)

    def render(self, openmetrics: bool = False) -> bytes:
        """Read the store and render, all in this thread. For programs without an event loop."""
        self._reader.refresh()
        return encode(self.registry, OPENMETRICS if openmetrics else "").body

    async def scrape(self, accept: str = "") -> Exposition:
        """Read the store aside and render in the format that the ``Accept`` header asks for.

        A store that does not answer shows as ``postroom_scrape_error 1``, without its families.
        """
        await self._reader.refresh_aside()
        render = partial(encode, self.registry, accept)
        if self._store.commits_in_thread:
            return await trio.to_thread.run_sync(render, abandon_on_cancel=True)
        return render()

    async def store_answers(self) -> bool:
        """Whether the store could be read within the last second, or can be now."""
        return await self._reader.refresh_aside() is not None

    async def watch_loop(self) -> None:
        """Measure for ever, once a second, how late the event loop is; ends when cancelled."""
        due = trio.current_time()
        while True:
            due += LAG_PERIOD_SECONDS
            await trio.sleep_until(due)
            late = trio.current_time() - due
            self._process.loop_lagged(late)
            due += late


def render_store(store: Store, *, inboxes: Iterable[str] = (), openmetrics: bool = False) -> bytes:
    """Only what is computed from the store: what any exporter of it shows alike.

    Raises ``StoreUnavailable`` if it cannot be read.
    """
    families = _StoreOnly(lambda: store_families(read(store), inboxes=inboxes))
    return encode(families, OPENMETRICS if openmetrics else "").body


class _StoreOnly(Collector):
    """Adapts a function to what the encoder takes."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def encode(collector: Collector, accept: str) -> Exposition:
    """Render a collector in the format an ``Accept`` header asks for; plain text by default."""
    encoder, content_type = choose_encoder(accept)
    return Exposition(content_type, encoder(collector))


def scrape_error(failed: bool) -> Metric:
    return GaugeMetricFamily(
        "postroom_scrape_error",
        "1 when the store could not be read for this scrape, so its families are missing.",
        value=float(failed),
    )


def build_info(postroom_version: str) -> Metric:
    family = GaugeMetricFamily(
        "postroom_build_info", "What is running; always 1.", labels=("version", "python")
    )
    family.add_metric((postroom_version, platform.python_version()), 1)
    return family


def package_version() -> str:
    """The installed version, or ``unknown`` when run from a source tree that is not installed."""
    try:
        return version("postroom")
    except PackageNotFoundError:
        return "unknown"
