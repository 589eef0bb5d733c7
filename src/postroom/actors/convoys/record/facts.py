"""What is on record of a run: pages of facts, each one an event with its number and its time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from attrs import fields, frozen

from ....store.errors import BadInput
from ....store.port import Store
from ..events import TYPES
from ..names import EVENTS, manager_of, number_key


@frozen
class Fact:
    """One event as it is kept. ``at`` is in wall seconds; ``data`` are the fields of its class."""

    seq: int
    at: float
    type: str
    data: dict[str, Any]


class RawFact(msgspec.Struct, frozen=True, gc=False):
    """A fact whose fields nobody has looked at: what is copied needs no reading."""

    seq: int
    at: float
    type: str
    data: msgspec.Raw


def page(store: Store, run: str, number: int) -> list[RawFact]:
    """The page of this number, from 1 on; an empty one if there is none yet. Raises ``BadInput``."""
    found = store.records(manager_of(run), EVENTS, number_key(number))
    return _page(found[0].value, number) if found else []


def pages(store: Store, run: str, after: int = 0) -> Iterator[list[RawFact]]:
    """The pages after this number, read one by one: none before it, and none that is not asked for.

    Raises ``BadInput`` at one that cannot be read.
    """
    while found := page(store, run, after := after + 1):
        yield found


def facts(store: Store, run: str, after: int = 0) -> Iterator[Fact]:
    """The facts after this page, in their order. Raises ``BadInput`` at a page that cannot be read."""
    for found in pages(store, run, after):
        for raw in found:
            yield Fact(raw.seq, raw.at, raw.type, _decode(raw.data))


def page_before(store: Store, run: str, seq: int) -> int:
    """The number of the last page that ends before the fact ``seq``. Reads few of many."""
    if seq <= 1:
        return 0
    low, high = 0, 1
    while (found := page(store, run, high)) and found[0].seq <= seq:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        found = page(store, run, middle)
        low, high = (middle, high) if found and found[0].seq <= seq else (low, middle)
    return max(0, low - 1)


def fault_of(fact: Fact) -> str:
    """Why this is no event of a known type with its fields; empty if all is well."""
    kind = TYPES.get(fact.type)
    if kind is None:
        return f"no event is of type {fact.type}"
    names = {field.name for field in fields(kind)}
    if unknown := sorted(fact.data.keys() - names):
        return f"{fact.type} has no {unknown[0]}"
    try:
        msgspec.convert(fact.data, kind, strict=True)
    except msgspec.ValidationError as error:
        return f"{fact.type}: {error}"
    return ""


def iso(at: float) -> str:
    """A time in wall seconds as ISO 8601, in UTC, to the microsecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_pages = msgspec.json.Decoder(list[RawFact])


def _page(value: bytes, number: int) -> list[RawFact]:
    try:
        return _pages.decode(value)
    except msgspec.MsgspecError as error:
        raise BadInput(f"page {number} of the record", str(error), "run: postroom verify") from error


def _decode(data: msgspec.Raw) -> dict[str, Any]:
    return msgspec.json.decode(data, type=dict[str, Any])
