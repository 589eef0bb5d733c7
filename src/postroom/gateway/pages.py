"""The pages that only show something: ``/metrics``, ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from ..store.errors import StoreUnavailable
from ..telemetry.metrics import Metrics
from .wire import Answer, Head

PATHS = ("/metrics", "/healthz", "/readyz")
TEXT = b"text/plain; charset=utf-8"


async def show(path: str, head: Head, metrics: Metrics) -> Answer:
    """One of the pages. Raises ``StoreUnavailable`` where readiness is asked and there is none."""
    if path == "/metrics":
        content_type, body = await metrics.scrape(head.one(b"accept") or "")
        return Answer(200, body, content_type.encode())
    if path == "/readyz":
        if not await metrics.store_answers():
            raise StoreUnavailable("not ready", "the store does not answer", "run postroom doctor")
        return Answer(200, b"ready\n", TEXT)
    return Answer(200, b"ok\n", TEXT)
