"""What leaves the worker: texts without secrets, and such as a message can hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from ..allowed import Allowed
from ..record.secrets import redact
from ..rules.standing import Note
from .hearing import TAIL, end_of

LONGEST_REASON = 400
LOOKED_AT = 4 * TAIL
"""A secret may begin before the part that is kept."""


def leaving(text: str, allowed: Sequence[Allowed] = ()) -> str:
    """A text on its way out: its secrets redacted, and NUL and lone surrogates replaced.

    ``allowed``, here and below, is what looks like a secret and is none.
    """
    if not text:
        return text
    plain = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return redact(plain, allowed)[0]


def leaving_end(text: str, allowed: Sequence[Allowed] = ()) -> str:
    """The end of a text on its way out, at most 4 KiB of it."""
    return end_of(leaving(text[-LOOKED_AT:], allowed))


def leaving_reason(text: str, allowed: Sequence[Allowed] = ()) -> str:
    """A reason on its way out: short, and in one line."""
    return " ".join(leaving(text[:LOOKED_AT], allowed).split())[:LONGEST_REASON]


def leaving_notes(notes: Iterable[Note], allowed: Sequence[Allowed] = ()) -> tuple[Note, ...]:
    """Notes on their way out."""
    return tuple(
        evolve(note, text=leaving_reason(note.text, allowed), output=leaving_end(note.output, allowed))
        for note in notes
    )
