"""New mail and the room there is for it on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PostroomError, StoreFull
from ..records import Accepted, Send, Unrouted
from ..rules.routing import route
from ..rules.sending import Answer, accept, known_as
from .ballast import batch_too_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..rules.tx import Tx

ROW_BYTES = 1024
"""What a message takes beside its body, with its places in the indexes, generously."""

SPACIOUS = 4 << 30
"""Spare bytes that no batch can fill."""


def take_in(tx: Tx, sends: Sequence[Send], refusal: StoreFull | None, spare: int) -> list[Answer]:
    """Accept sends of their own, as far as there is room for them: ``spare`` is in bytes.

    A refusal is only for what is new: who repeats a send learns that it was kept. What turns send is
    accepted all the same.
    """
    if refusal is None:
        fitting = _fitting(sends, spare)
        if fitting == len(sends):
            return accept(tx, sends)
        answers = accept(tx, sends[:fitting])
        return answers + take_in(tx, sends[fitting:], batch_too_large(spare), spare)
    refused: list[Answer] = []
    for send in sends:
        refused += [_only_known(tx, send) or refusal] if send.bounded else accept(tx, [send])
    return refused


def _fitting(sends: Sequence[Send], spare: int) -> int:
    """How many of these sends there is room for, the first in any case.

    A batch may be so large that it would take by itself what is kept for those who settle.
    """
    if spare >= SPACIOUS:
        return len(sends)
    for n, send in enumerate(sends):
        spare -= 2 * (ROW_BYTES + len(send.message.body))
        if spare < 0 and n:
            return n
    return len(sends)


def _only_known(tx: Tx, send: Send) -> Answer | None:
    """The answer to a send that needs no room; None if it does."""
    recipient = send.message.recipient
    if send.unrouted is not Unrouted.REFUSE and ":" not in recipient and tx.registry.find(recipient) is None:
        return None
    found = route(tx, send)
    if isinstance(found, PostroomError):
        return found
    known = [known_as(tx, row) for row in found]
    if None in known:
        return None
    answer = known[0]
    if len(known) > 1 and isinstance(answer, Accepted):
        answer.copies = tuple(row.message.id for row in found)
    return answer
