"""Who is measured on a PostgreSQL server, by ``postroom bench --set postgres``."""

from __future__ import annotations

from . import pgqueuer_ways, postroom_ways, procrastinate_ways
from .ways import Style, Way

ON_SERVER: tuple[Way, ...] = (
    *(way for way in postroom_ways.WAYS if way.style is not Style.ONE),
    *procrastinate_ways.WAYS,
    *pgqueuer_ways.WAYS,
)
