"""The engine's SQL, by name: ``queries.sql`` is read once, when the engine is first imported."""

from __future__ import annotations

from pathlib import Path

from ..rules.statements import named

QUERIES = named(Path(__file__).parent / "queries.sql")
