"""The engine's SQL, by name. ``queries.sql`` is read once, when the engine is first imported."""

from __future__ import annotations

from pathlib import Path


def parse(text: str) -> dict[str, str]:
    """Split a file of ``-- name: NAME`` sections into statements; a name used twice is an error."""
    found: dict[str, str] = {}
    for part in text.split("-- name: ")[1:]:
        name, _, body = part.partition("\n")
        if name in found:
            raise ValueError(f"the query {name} is there twice")
        lines = [line for line in body.splitlines() if not line.startswith("-- ---")]
        found[name] = "\n".join(lines).strip().removesuffix(";")
    return found


QUERIES = parse((Path(__file__).parent / "queries.sql").read_text())
