"""One change of one task's loop: what it reads, and all that is to be committed with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from ...mailbox import pairs
from ...mailbox.address import check_task
from ...mailbox.codec import encode
from ...mailbox.envelope import check_text, compose
from ...mailbox.ids import id_text
from ...mailbox.moments import moment
from ...store.errors import Conflict, PostroomError, Refused
from ...store.identity import derived_id
from ...store.records import Control, Operation, Put, Send, Switch, Unrouted, Write
from .errors import Forbidden
from .records import LOOPS, Event, Once, history_of, keys_of, loop_of
from .together import together

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...store.port import Store

SENDER = "postroom/loop"
"""Who a message is from that no participant has sent."""

T = TypeVar("T")


class Change:
    """A task's binding and loop as they are, and what becomes of them.

    ``loop`` is replaced as the change is put together. If ``refusal`` is set, what was collected is
    committed and the caller is told no all the same: a spent budget pauses the loop of who asked.
    """

    def __init__(self, store: Store, binding: Binding) -> None:
        self.store = store
        self.binding = binding
        self.before, self._version = loop_of(store, binding)
        self.loop = self.before
        self.refusal: PostroomError | None = None
        self._operations: list[Operation] = []
        self._writes: list[Write] = []
        self._sends: list[Send] = []

    def update(self, **changes: Any) -> None:
        """Give the loop these values."""
        self.loop = replace(self.loop, **changes)

    def note(self, event: str, by: str, **data: Any) -> None:
        """Add an event to the history; it belongs to the iteration the loop is in now."""
        number = self.loop.events + 1
        self.update(events=number, changed=moment(self.store.clock))
        line = Event(self.store.clock.now().wall, event, by, self.loop.iteration, data)
        self.write(history_of(self.binding.task).write(f"{number:09}", line, 0))

    def write(self, *writes: Write) -> None:
        """Write other records with this change."""
        self._writes += writes

    def do(self, *operations: Operation) -> None:
        """Apply other operations with this change."""
        self._operations += operations

    def send(
        self,
        recipient: str,
        type: str,
        body: Mapping[str, Any],
        *,
        sender: str = SENDER,
        priority: str = "normal",
        unrouted: Unrouted = Unrouted.REFUSE,
        bounded: bool = True,
    ) -> str:
        """Send a message with this change; answers its id as text.

        Its id comes from the binding and the number of the last event, so no two changes share one.
        """
        id = _message_id(self.binding, f"{self.loop.events}/{len(self._sends)}/{type}")
        message = compose(
            id=id,
            recipient=recipient,
            sender=sender,
            type=type,
            body=encode({"task": self.binding.task, **body}),
            priority=priority,
            correlation=self.binding.task,
        )
        self._sends.append(Send(message, unrouted, bounded))
        return id_text(id)

    def once(self, key: str | None, content: str) -> dict[str, Any] | None:
        """The answer that was given under this key, or None if it is new.

        Raises ``BadInput``, and ``Conflict`` if the key was used for something else.
        """
        if key is None:
            return None
        found, _ = keys_of(self.binding.task).find(self.store, self._key(key))
        if found is not None and found.content != content:
            raise Conflict(f"the key {key} is taken", "it was used for something else", "use a new key")
        return None if found is None else found.answer

    def remember(self, key: str | None, content: str, answer: dict[str, Any]) -> None:
        """Give the same answer whenever this key comes again."""
        if key is not None:
            self.write(keys_of(self.binding.task).write(self._key(key), Once(content, answer), 0))

    def _key(self, key: str) -> str:
        return f"{self.binding.since}/{check_text('key', key)}"

    def permitted(self, permission: str | None) -> None:
        """Raise ``Forbidden`` if the task lacks this permission."""
        if permission is not None and permission not in self.loop.permissions:
            task = self.binding.task
            raise Forbidden(
                f"task {task} has no permission {permission}",
                "it was not granted, or was taken away",
                f"grant it with: postroom loop permit {task} {permission}",
            )

    def pause_worker(self, switch: Switch) -> None:
        """Pause or resume the worker's inbox, unless it is gone anyway."""
        if any(not counts.ended for counts in self.store.counts(self.binding.worker)):
            self.do(Control(self.binding.worker, switch))

    def operations(self) -> list[Operation]:
        """All of it; nothing if nothing was changed."""
        writes = list(self._writes)
        if self.loop != self.before:
            writes.append(LOOPS.write(self.binding.task, self.loop, self._version))
        puts: list[Operation] = [Put(tuple(writes))] if writes else []
        return [*puts, *self._operations, *self._sends]


def _message_id(binding: Binding, salt: str) -> bytes:
    """An id that nobody else makes. It begins with the time of the binding, as ids do."""
    parent = (binding.since // 1000 & (1 << 48) - 1).to_bytes(6) + bytes(10)
    name = blake2b(f"{binding.task}/{binding.since}/{salt}".encode(), digest_size=16)
    return derived_id(parent, name.digest())


def binding_of(store: Store, task: str, *, ended: bool = False) -> Binding:
    """The binding of a task, which must be active unless ``ended`` ones will do. Raises ``Refused``."""
    binding, _ = pairs.find(store, check_task(task))
    if binding is None:
        raise Refused(f"task {task} is not paired", "nobody paired it", "run: postroom pair")
    if binding.state != pairs.ACTIVE and not ended:
        raise Refused(f"task {task} has ended", "its binding is no longer active", "run: postroom pair")
    return binding


def changed(
    store: Store, task: str, decide: Callable[[Change], T], *, nap: Callable[[float], None] = time.sleep
) -> T:
    """Change one active task's loop: all that ``decide`` collects becomes durable, or nothing of it.

    ``decide`` only reads; it is called anew if the loop has changed meanwhile.

    Raises what ``decide`` raises, ``Refused`` for a task without an active binding, and the change's
    ``refusal`` once it is durable. Not for a handle that a ``GroupCommit`` uses.
    """

    def choose() -> tuple[tuple[T, PostroomError | None], list[Operation]]:
        change = Change(store, binding_of(store, task))
        answer = decide(change)
        return (answer, change.refusal), change.operations()

    answer, refusal = together(store, choose, nap=nap)
    if refusal is not None:
        raise refusal
    return answer
