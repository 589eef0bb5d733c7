"""What a role says of a message or of its task: received, accepted or blocked.

That is neither the transport's ack, which ends a lease, nor evidence that anything is done. Each word is
a record of its own under ``ack/TASK`` that is never changed: the last one of a role counts. It holds
for the agreement it was said about: once what is agreed changes, it counts no more.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING

from msgspec import Struct

from ...mailbox import heartbeats, pairs
from ...mailbox.envelope import check_text
from ...mailbox.ids import id_text
from ...mailbox.keeping import Kept
from ...store.errors import BadInput, Refused
from .records import OWNER, Loop, loop_of

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...store.port import Store
    from ...store.records import StoredMessage, Write

LENGTH = 4000


class RoleAck(StrEnum):
    """``RECEIVED``: it is there. ``ACCEPTED``: I shall do it so. ``BLOCKED``: I cannot; the text says why."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    BLOCKED = "blocked"


DELIVERED = frozenset({"ready", "leased", "done"})
CLAIMED = frozenset({"leased", "done"})
NEEDED: dict[RoleAck, frozenset[str]] = {
    RoleAck.RECEIVED: DELIVERED,
    RoleAck.ACCEPTED: CLAIMED,
    RoleAck.BLOCKED: CLAIMED,
}
"""The states of a message in which each can be said of it."""


class Ack(Struct, frozen=True, omit_defaults=True):
    """One word. ``at`` is wall time in microseconds; ``message`` is None where it is about the task."""

    at: int
    role: str
    ack: RoleAck
    by: str
    text: str | None = None
    message: str | None = None
    since: int = 0
    revision: int = 0


def acks_of(task: str | None) -> Kept[Ack]:
    """The records of what was said in a task, or of messages that belong to none."""
    return Kept(OWNER, "ack" if task is None else f"ack/{task}", Ack)


def check_ack(word: str, text: str | None) -> RoleAck:
    """``word`` if it is a role ack, with a text where one is needed. Raises ``BadInput``."""
    if word not in set(RoleAck):
        raise BadInput(f"no role ack {word[:60]!r}", f"there are {', '.join(RoleAck)}", "take one of them")
    if text is not None:
        check_text("role text", text, LENGTH)
    return RoleAck(word)


def role_ack_write(store: Store, message: StoredMessage, role_ack: str, text: str | None) -> Write:
    """The write that keeps what the recipient says of a message; commit it with the message's settlement.

    ``received`` needs a message that was delivered, ``accepted`` and ``blocked`` one that was claimed.
    The write expects that nothing else was said meanwhile. Raises ``BadInput`` and ``Refused``.
    """
    ack = check_ack(role_ack, text)
    if message.state not in NEEDED[ack]:
        needed = "claimed" if NEEDED[ack] is CLAIMED else "delivered"
        raise Refused(
            f"{id_text(message.id)} cannot be {ack}", f"it is {message.state}, not {needed}", "poll it first"
        )
    binding = _task_of(store, message)
    return _write(store, binding, message.recipient, ack, text, id_text(message.id))


def task_ack_write(store: Store, binding: Binding, role: str, role_ack: str, text: str | None) -> Write:
    """The write that keeps what a role says of the task as it is agreed now. Raises ``BadInput``."""
    address = pairs.address_of(binding, role)
    return _write(store, binding, address, check_ack(role_ack, text), text, None)


def _write(
    store: Store, binding: Binding | None, by: str, ack: RoleAck, text: str | None, message: str | None
) -> Write:
    at, role = store.clock.now().wall, _role_in(binding, by)
    if binding is None:
        return _write_alone(store, Ack(at, role, ack, by, text, message))
    family = acks_of(binding.task)
    loop, _ = loop_of(store, binding)
    made = Ack(at, role, ack, by, text, message, binding.since, loop.revision)
    return family.write(f"{len(family.all(store)) + 1:09}", made, 0)


def _write_alone(store: Store, made: Ack) -> Write:
    """The write for a message of no task: kept under the message, so that all others need not be read."""
    family = acks_of(None)
    key = next(key for n in count(1) if family.find(store, key := f"{made.message}/{n}") == (None, 0))
    return family.write(key, made, 0)


def _role_in(binding: Binding | None, address: str) -> str:
    """The role of an address in its task, whatever the address is called."""
    if binding is not None and address == binding.manager:
        return heartbeats.MANAGER
    if binding is not None and address == binding.worker:
        return heartbeats.WORKER
    return address.partition("/")[0]


def _task_of(store: Store, message: StoredMessage) -> Binding | None:
    """The binding that a message belongs to: by its correlation, else as the worker's only one."""
    for task in (message.correlation_id, pairs.task_of(store, message.recipient)[0]):
        if task is not None:
            binding, _ = pairs.find(store, task)
            if binding is not None and message.recipient in (binding.manager, binding.worker):
                return binding
    return None


def history(store: Store, task: str) -> list[Ack]:
    """All that was said in a task, oldest first."""
    return [ack for ack, _ in acks_of(task).all(store).values()]


def latest(store: Store, binding: Binding) -> dict[str, Ack]:
    """The last word of each role in this binding."""
    return {ack.role: ack for ack in history(store, binding.task) if ack.since == binding.since}


def lacking(store: Store, binding: Binding, loop: Loop) -> list[str]:
    """What is missing of both sides' acceptance of what is agreed now, in words."""
    last = latest(store, binding)
    wrong: list[str] = []
    for role in (heartbeats.MANAGER, heartbeats.WORKER):
        ack = last.get(role)
        if ack is None:
            wrong.append(f"the {role} has not acknowledged the task")
        elif ack.revision != loop.revision:
            wrong.append(f"the {role} has acknowledged revision {ack.revision}, not {loop.revision}")
        elif ack.ack is not RoleAck.ACCEPTED:
            wrong.append(f"the {role} says {ack.ack}" + (f": {ack.text}" if ack.text else ""))
    return wrong
