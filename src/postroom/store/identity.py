"""Message ids: sixteen bytes, made by the sender, and ids that derive from other ids."""

from __future__ import annotations

from hashlib import blake2b


def version_7_time(id: bytes) -> int | None:
    """When a UUIDv7 was made, in microseconds since 1970; None for any other UUID."""
    if id[6] >> 4 != 7:
        return None
    return int.from_bytes(id[:6]) * 1000


def derived_id(parent: bytes, salt: bytes) -> bytes:
    """A UUIDv8 that anybody derives equally from a parent id and a salt.

    It keeps the parent's first 48 bits, so that ids of one conversation lie together in an index.
    """
    raw = bytearray(parent[:6] + blake2b(parent + salt, digest_size=10).digest())
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)


def id_text(id: bytes) -> str:
    """The canonical text of an id."""
    text = id.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def content_digest(*content: object) -> bytes:
    """What is kept of a message's content when its row is gone, to tell a repeat from a conflict."""
    return blake2b(repr(content).encode(), digest_size=16).digest()
