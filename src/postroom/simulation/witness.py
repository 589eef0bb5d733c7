"""A witness of one store handle: what was committed through it, as facts in the order they happened.

The facts are the port's own records, so a checker sees exactly what the participants were told and
nothing that they were not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ..store.port import Store
from ..store.records import Answer, Claim, Operation, Send, Settle
from .between import between


class Committed(Struct, gc=False, frozen=True):
    """An operation was answered and its transaction is durable.

    ``at`` is the boot time, in microseconds, at which the transaction began.
    """

    at: int
    handle: str
    operation: Operation
    answer: Answer


class Doubted(Struct, gc=False, frozen=True):
    """The commit of an operation failed or its process died in it: it was kept, or it was not."""

    at: int
    handle: str
    operation: Operation
    answer: Answer


class Gone(Struct, gc=False, frozen=True):
    """The process that held a handle died: no session that was opened through it is alive."""

    at: int
    handle: str


class Rebooted(Struct, gc=False, frozen=True):
    """The machine was started anew, or the store restored: no lease, session or activation is left."""

    at: int
    handle: str


Fact = Committed | Doubted | Gone | Rebooted
Tell = Callable[[Fact], None]


class _Witness:
    """Remembers the open transaction until its end is known."""

    def __init__(self, store: Store, tell: Tell, handle: str) -> None:
        self._store = store
        self._tell = tell
        self._handle = handle
        self._open: list[tuple[Sequence[Operation], list[Answer]]] = []
        self._at = 0

    def around(
        self, name: str, call: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if name == "apply":
            return self._apply(args[0], call)
        if name == "commit":
            return self._commit(call)
        if name in ("begin", "rollback", "reopen"):
            self._open = []
        answer = call()
        if name == "begin":
            self._at = self._store.clock.now().boot
        return answer

    def _apply(self, batch: Sequence[Operation], call: Callable[[], Any]) -> list[Answer]:
        answers: list[Answer] = call()
        self._open.append((batch, answers))
        return answers

    def _commit(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException:  # whatever it was, only the storage knows how far the commit got
            self._end(Doubted)
            raise
        self._end(Committed)

    def _end(self, kind: type[Committed | Doubted]) -> None:
        open_, self._open = self._open, []
        told = [one for batch, answers in open_ for one in zip(batch, answers, strict=True)]
        for operation, answer in sorted(told, key=_turn):
            self._tell(kind(self._at, self._handle, operation, answer))


ORDER: dict[type, int] = {Settle: 1, Send: 2, Claim: 3}
"""In which order a transaction applies its operations: these after all others."""


def _turn(told: tuple[Operation, Answer]) -> int:
    return ORDER.get(type(told[0]), 0)


def witnessed(store: Store, tell: Tell, handle: str = "") -> Store:
    """The same store, whose committed operations are told one by one.

    ``handle`` names the process it belongs to. When that process dies, whoever kills it tells ``Gone``.
    """
    return between(store, _Witness(store, tell, handle).around)
