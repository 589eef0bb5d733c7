"""A sum in each row over what never changes in it, so that a byte that rots in the file is noticed.

A message's sum covers what its sender said and where it was put; the columns that its life changes are
not in it. A record's sum covers the whole record. Rows from before there were sums have none: NULL.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any
from zlib import crc32

from msgspec import Struct
from msgspec.msgpack import Encoder

from ..identity import id_text
from ..states import FINAL

if TYPE_CHECKING:
    from .statements import Statements

_packed = Encoder().encode
Content = tuple[Any, ...]


def message_sum(content: Content) -> int:
    """The sum of a message: (seq, id, inbox, priority, type, sender, body, created_at, max_attempts,
    correlation_id, causation_id, reply_to, dedup_key, headers, expires_at).

    Packing tells one field, and one type of value, from the next, and costs less than joining them.
    """
    return crc32(_packed(content))


def record_sum(owner: str, kind: str, key: str, version: int, value: bytes) -> int:
    """The sum of a record."""
    return crc32(_packed((owner, kind, key, version, value)))


def record_row(owner: str, kind: str, key: str, version: int, value: bytes) -> tuple[Any, ...]:
    """A record as it is put: with its sum."""
    return owner, kind, key, version, value, record_sum(owner, kind, key, version, value)


class Damaged(Struct):
    """A message whose content does not have its sum. Its texts are made legible, whatever is in them."""

    seq: int
    id: bytes
    inbox: int
    state: int
    fence: int
    attempts: int
    claim_key: bytes | None
    texts: tuple[Any, ...]


def damaged(db: Statements, inbox: int | None = None) -> Generator[Damaged]:
    """Every message whose content does not have the sum it was written with, or the live of one inbox.

    Values are asked for as bytes, because damaged text may not be text any more.
    """
    if not _has_sums(db):
        return
    for row in db.each("message_sums", inbox):
        seq, id, place, state, fence, attempts, claim_key, right_kinds, wanted = row[:9]
        priority, created_at, max_attempts, expires_at, body, headers, *raw = row[9:]
        texts = tuple(None if text is None else text.decode(errors="replace") for text in raw)
        type, sender, *others = texts
        content = (
            seq, id, place, priority, type, sender, body, created_at, max_attempts,
            *others, headers, expires_at,
        )  # fmt: skip
        legible = all(text is None or text.encode() == was for text, was in zip(texts, raw, strict=True))
        if not (right_kinds and legible and wanted in (None, message_sum(content))):
            yield Damaged(seq, id, place, state, fence, attempts, claim_key, texts)


def damaged_messages(db: Statements) -> list[bytes]:
    """The ids of live messages that must not be delivered as they are."""
    return [message.id for message in damaged(db) if message.state < min(FINAL)]


def faults(db: Statements) -> Generator[str]:
    """One line for each message and each record that does not have its sum."""
    for message in damaged(db):
        yield f"message {id_text(message.id)} does not have the sum it was written with"
    if not _has_sums(db):
        return
    for row in db.each("record_sums"):
        *raw, version, value, wanted = row
        owner, kind, key = (text.decode(errors="replace") for text in raw)
        legible = [text.encode() for text in (owner, kind, key)] == raw
        if not legible or wanted not in (None, record_sum(owner, kind, key, version, value)):
            yield f"record {owner}/{kind}/{key} does not have the sum it was written with"


def _has_sums(db: Statements) -> bool:
    """Whether the schema knows sums: a file that is looked at before it is opened may be older."""
    return bool(db.row("sums_known")[0])
