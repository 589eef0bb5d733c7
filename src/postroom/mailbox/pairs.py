"""Bindings of a task to its manager and its worker, kept as keyed records.

The record under the task's name is what ``manager-of:TASK`` is resolved from. A second record
under the worker's address keeps that worker from having two tasks; both change together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ..store.errors import Conflict, Refused, StoreUnavailable
from ..store.records import InboxSpec, Put, Record, Register, Write
from .address import address_in, check_task
from .heartbeats import MANAGER, check_role

if TYPE_CHECKING:
    from ..store.port import Store

OWNER = "postroom/pairs"
BINDING, WORKER = "binding", "worker"
ACTIVE, ENDED = "active", "ended"


class Binding(Struct, frozen=True, gc=False):
    """A task with its two inboxes. ``since`` is wall time in microseconds; ``state`` active or ended.

    The inboxes of a ``disposable`` one end when its task is finished. No two bindings of one task have
    the same ``since``.
    """

    task: str
    manager: str
    worker: str
    state: str
    since: int
    disposable: bool = False

    def value(self) -> bytes:
        """The record's value: all but the task, which is its key, and what is as it always is."""
        body = {name: getattr(self, name) for name in ("manager", "since", "state", "worker")}
        return msgspec.json.encode({**body, "disposable": True} if self.disposable else body)


class _Value(Struct, frozen=True, gc=False):
    """A binding as it is stored, under its task's name."""

    manager: str
    worker: str
    state: str
    since: int
    disposable: bool = False


_decoder = msgspec.json.Decoder(_Value)


class Pairing(Struct, frozen=True):
    """A binding as ``pair`` answers it; ``already`` when it had been made before."""

    binding: Binding
    already: bool


def new_binding(task: str, manager: str, worker: str, since: int, *, disposable: bool = False) -> Binding:
    """A checked, active binding; ``manager`` and ``worker`` are names or addresses.

    Raises ``BadInput``.
    """
    return Binding(
        check_task(task),
        address_in("manager", manager),
        address_in("worker", worker),
        ACTIVE,
        since,
        disposable,
    )


def address_of(binding: Binding, role: str) -> str:
    """The inbox of a role in a binding. Raises ``BadInput`` for a role that no pair has."""
    return binding.manager if check_role(role) == MANAGER else binding.worker


def binding_of(record: Record) -> Binding:
    """What a stored record says. Raises ``StoreUnavailable`` if it is damaged."""
    try:
        value = _decoder.decode(record.value)
    except msgspec.MsgspecError as error:
        raise StoreUnavailable(
            f"the binding of task {record.key} is damaged", str(error), "run: postroom verify --deep"
        ) from error
    return Binding(record.key, value.manager, value.worker, value.state, value.since, value.disposable)


def find(store: Store, task: str) -> tuple[Binding | None, int]:
    """The binding of a task and its version; None and 0 if it never had one."""
    records = store.records(OWNER, BINDING, task)
    return (binding_of(records[0]), records[0].version) if records else (None, 0)


def task_of(store: Store, worker: str) -> tuple[str | None, int]:
    """The active task of a worker and the record's version; None and 0 if it has none."""
    records = store.records(OWNER, WORKER, worker)
    return (msgspec.json.decode(records[0].value, type=str), records[0].version) if records else (None, 0)


def bindings(store: Store) -> list[Binding]:
    """All bindings, active and ended, by task."""
    return [binding_of(record) for record in store.records(OWNER, BINDING)]


def bind(store: Store, wanted: Binding) -> tuple[Binding, Put | None]:
    """The binding to have and what to write for it; nothing to write if it is there already.

    Raises ``Conflict`` if the task or the worker is bound otherwise. The write expects what was
    read here, so of two that pair at once the second gets a ``Conflict``.
    """
    present, version = find(store, wanted.task)
    if present is not None and present.state == ACTIVE:
        same = (present.manager, present.worker) == (wanted.manager, wanted.worker)
        if same and present.disposable >= wanted.disposable:
            return present, None
        raise Conflict(
            f"task {wanted.task} is paired",
            f"with {present.manager} and {present.worker}" + (", and not disposable" if same else ""),
            "choose another task name",
        )
    busy, worker_version = task_of(store, wanted.worker)
    if busy is not None:
        raise Conflict(f"{wanted.worker} is paired", f"it works on task {busy}", "choose another worker")
    if present is not None and present.since >= wanted.since:  # the wall clock was set back
        wanted = msgspec.structs.replace(wanted, since=present.since + 1)
    return wanted, Put(
        (
            Write(OWNER, BINDING, wanted.task, wanted.value(), version),
            Write(OWNER, WORKER, wanted.worker, msgspec.json.encode(wanted.task), worker_version),
        )
    )


def unbind(store: Store, task: str) -> tuple[Binding, Put | None]:
    """The ended binding and what to write for it; nothing if it has ended already.

    Raises ``Refused`` for a task that was never paired.
    """
    present, version = find(store, check_task(task))
    if present is None:
        raise Refused(f"task {task} is not paired", "nobody paired it", "run: postroom pair")
    if present.state == ENDED:
        return present, None
    _, worker_version = task_of(store, present.worker)
    ended = msgspec.structs.replace(present, state=ENDED)
    return ended, Put(
        (
            Write(OWNER, BINDING, task, ended.value(), version),
            Write(OWNER, WORKER, present.worker, None, worker_version),
        )
    )


def registration(binding: Binding) -> Register:
    """The operation that makes both inboxes exist."""
    return Register((InboxSpec(binding.manager), InboxSpec(binding.worker)))


def commands(binding: Binding, store_url: str | None = None) -> dict[str, list[str]]:
    """What the two sides type, ready to paste. ``store_url`` is left out where it is the default."""
    from shlex import quote  # only pair needs it

    at = "" if store_url is None else f" --store {quote(store_url)}"
    manager, worker, task = binding.manager, binding.worker, binding.task
    settle = [
        f"postroom extend{at} ID --fence F",
        f"postroom nack{at} ID --fence F --reason 'what went wrong'",
    ]
    return {
        "manager": [
            f"postroom send{at} {worker} --from {manager} --type task --correlation {task} --body '{{}}'",
            f"postroom poll{at} {manager} --wait 30",
            f"postroom ack{at} ID --fence F",
            *settle,
            f"postroom heartbeat{at} {task} --role manager",
            f"postroom loop status{at} {task}",
            f"postroom finish{at} {task}",
        ],
        "worker": [
            f"postroom poll{at} {worker} --wait 30",
            f"postroom ack{at} ID --fence F --reply '{{\"ok\":true}}'",
            f"postroom send{at} manager-of:{task} --from {worker} --type report --body '{{}}'",
            *settle,
            f"postroom heartbeat{at} {task} --role worker",
        ],
    }
