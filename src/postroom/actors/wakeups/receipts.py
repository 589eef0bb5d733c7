"""Receipts: a plan that somebody acts on by hand, and what they then say that they did.

What is recorded must fit the receipt, so that a wake is never counted that was not planned, nor one
counted twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from ...mailbox import pairs, wakes
from ...mailbox.envelope import check_text
from ...mailbox.ids import id_text, parse_id
from ...mailbox.keeping import Kept
from ...store.errors import BadInput, Conflict, Refused
from ...store.records import Put, Write
from .planning import binding_of, look, plan
from .rules import Action, Reason, Status

if TYPE_CHECKING:
    from ...mailbox.ids import IdMaker
    from ...store.port import Store
    from .planning import Look, Plan

OWNER = "postroom/receipts"
KEPT_RECEIPTS = 20
"""Receipts of one task that are kept; older ones are forgotten when a new one is made."""

LONGEST_REASON = 400
AGAIN = "make a new one with: postroom wakeup dispatch"

SAYS: dict[str, Status] = {
    "sent": Status.READY,
    "skipped": Status.SKIPPED,
    "blocked": Status.BLOCKED,
}
"""What may be said of an action, by what was planned."""


class Planned(Struct, frozen=True):
    """An action as its receipt keeps it."""

    role: str
    address: str
    status: Status
    thread_id: str | None
    reason: Reason


class Recorded(Struct, frozen=True):
    """What became of an action. ``at`` is wall time in microseconds."""

    role: str
    status: str
    thread_id: str | None
    reason: str | None
    at: int


class Receipt(Struct, frozen=True):
    """A plan that was handed out. ``at`` is wall time in microseconds."""

    task: str
    at: int
    actions: tuple[Planned, ...]
    recorded: tuple[Recorded, ...] = field(default_factory=tuple[Recorded, ...])


def kept(task: str) -> Kept[Receipt]:
    """The receipts of one task."""
    return Kept(OWNER, task, Receipt)


def dispatch(store: Store, ids: IdMaker, task: str) -> tuple[Plan, str, Put]:
    """A plan, the id of its receipt, and what to write for it. Raises ``Refused`` for an unknown task.

    Nothing is reserved by a receipt: two of them may name the same wake.
    """
    made, id = plan(store, task), id_text(ids.new())
    receipt = Receipt(task, store.clock.now().wall, tuple(map(_planned, made.actions)))
    family = kept(task)
    old = sorted(store.records(OWNER, task), key=lambda record: record.key)
    gone = old[: max(0, len(old) + 1 - KEPT_RECEIPTS)]
    forgotten = (family.remove(record.key, record.version) for record in gone)
    return made, id, Put((family.write(id, receipt, 0), *forgotten))


def _planned(action: Action) -> Planned:
    return Planned(action.role, action.address, action.status, action.thread_id, action.reason)


def record(
    store: Store,
    task: str,
    id: str,
    role: str,
    status: str,
    *,
    thread_id: str | None = None,
    reason: str | None = None,
) -> tuple[Recorded, Put]:
    """What somebody did about a role, and what to write for it: the wake that was ``sent`` is then pending.

    Raises ``Refused`` for an unknown task or receipt, ``Conflict`` for what does not fit the receipt,
    and ``BadInput``.
    """
    if reason is not None:
        check_text("reason", reason, LONGEST_REASON)
    binding = binding_of(store, task)
    address = pairs.address_of(binding, role)
    id = id_text(parse_id(id))
    receipt, version = _find(store, task, id)
    action = _fitting(receipt, id, role, status, thread_id)
    if address != action.address or receipt.at < binding.since:
        raise Conflict(f"receipt {id} is of an earlier pairing", "the task was paired again", AGAIN)
    seen = look(store, task, role, address)
    if status == "sent":
        _check_thread(seen, action)
    said = Recorded(role, status, thread_id, reason, store.clock.now().wall)
    after = replace(receipt, recorded=(*receipt.recorded, said))
    write = kept(task).write(id, after, version)
    return said, Put((write, *_consequences(store, seen, action, status, id)))


def _check_thread(seen: Look, action: Planned) -> None:
    """Raises ``Conflict`` if another thread has come in the place of the one that was planned."""
    if seen.thread_id != action.thread_id:
        has = "no thread" if seen.thread_id is None else f"thread {seen.thread_id}"
        raise Conflict(f"{action.address} has {has} now", f"it is not {action.thread_id} any more", AGAIN)


def _find(store: Store, task: str, id: str) -> tuple[Receipt, int]:
    found, version = kept(task).find(store, id)
    if found is not None:
        return found, version
    for other in store.records(OWNER):
        if other.key == id:
            raise Conflict(
                f"receipt {id} is not of task {task}", f"it is of task {other.kind}", "name that task"
            )
    raise Refused(
        f"unknown receipt {id}", f"no plan of task {task} has it", "make one with: postroom wakeup dispatch"
    )


def _fitting(receipt: Receipt, id: str, role: str, status: str, thread_id: str | None) -> Planned:
    """The action of a receipt that this may be said of. Raises ``Conflict``, and ``BadInput``."""
    planned = SAYS.get(status)
    if planned is None:
        raise BadInput(f"no status {status[:60]!r}", f"there are {', '.join(SAYS)}", "take one of them")
    action = next((one for one in receipt.actions if one.role == role), None)
    see = "see: postroom wakeup plan"
    if action is None:
        raise Conflict(f"receipt {id} has no {role}", "it was made for others", see)
    before = next((one for one in receipt.recorded if one.role == role), None)
    if before is not None:
        raise Conflict(
            f"the {role} of receipt {id} is recorded",
            f"it was {before.status}",
            AGAIN,
        )
    if action.status is not planned:
        raise Conflict(
            f"{status} does not fit receipt {id}", f"the {role} is {action.status}, for {action.reason}", see
        )
    if status == "sent" and thread_id is None:
        raise Conflict(
            "sent to no thread", f"receipt {id} names thread {action.thread_id}", "add --thread-id"
        )
    if thread_id is not None and thread_id != action.thread_id:
        has = "no thread" if action.thread_id is None else f"thread {action.thread_id}"
        raise Conflict(f"thread {thread_id} is not the one of receipt {id}", f"the {role} has {has}", see)
    return action


def _consequences(store: Store, seen: Look, action: Planned, status: str, id: str) -> list[Write]:
    """What is known of the address's wake from then on.

    Who was woken may have taken the mail before it is recorded: then the wake is answered already. One
    that was under way from another receipt is one too many, and counted as empty.
    """
    wake, version = seen.wake, seen.version
    if status == "sent" and action.thread_id is not None:
        if seen.pending:
            wake = replace(wake, empty=wake.empty + 1)
        after = wakes.sent(store.clock, wake, id, action.thread_id)
        if seen.leased or not seen.mail:
            after = wakes.answered(after, useful=True)
    elif status == "blocked":
        after = wakes.blocked(wake)
    else:
        return []
    return [wakes.write(action.address, after, version)]
