"""Whose inbox is it: the task and the role behind an address, without reading all bindings each time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from ...mailbox import pairs
from ...mailbox.address import role_of
from ...mailbox.heartbeats import MANAGER, WORKER
from ...mailbox.pairs import ACTIVE, Binding
from ...store.port import Store

Wanted = Callable[[str, str], bool]
"""Whether a role (second) of a task (first) is to be woken at all."""


class Sides:
    """The sides of all bindings.

    A worker's task is a record of its own. A manager may have many tasks: they are remembered from
    the last ``load`` of all bindings, and each is read again before it is believed.
    """

    def __init__(self, store: Store, wanted: Wanted) -> None:
        self._store = store
        self._wanted = wanted
        self._tasks: dict[str, list[str]] = {}
        self._members: dict[str, list[str]] = {}

    def load(self, bindings: Iterable[Binding]) -> None:
        """Remember all bindings, as they were read just now."""
        tasks: dict[str, list[str]] = {}
        members: dict[str, set[str]] = {}
        for binding in bindings:
            if binding.state != ACTIVE:
                continue
            tasks.setdefault(binding.manager, []).append(binding.task)
            for address in (binding.manager, binding.worker):
                members.setdefault(role_of(address), set()).add(address)
        self._tasks = tasks
        self._members = {role: sorted(addresses) for role, addresses in members.items()}

    def of(self, address: str) -> tuple[Binding, str] | None:
        """A binding in which the address is to be woken, and its role there; None where it is in none."""
        task = pairs.task_of(self._store, address)[0]
        if task is not None:
            return self._side(task, WORKER, address)
        for task in self._tasks.get(address, ()):
            side = self._side(task, MANAGER, address)
            if side is not None:
                return side
        return None

    def _side(self, task: str, role: str, address: str) -> tuple[Binding, str] | None:
        if not self._wanted(task, role):
            return None
        binding = pairs.find(self._store, task)[0]
        if binding is None or binding.state != ACTIVE:
            return None
        return (binding, role) if address in (binding.manager, binding.worker) else None

    def knows(self, address: str) -> bool:
        """Whether all that there is to know of the address was there when the bindings were read."""
        return address in self._tasks or pairs.task_of(self._store, address)[0] is not None

    def members(self, role: str, start: float) -> list[str]:
        """All addresses of a role, beginning at the fraction ``start`` of them, and around."""
        found = self._members.get(role, [])
        first = bisect_left(range(len(found)), start * len(found))
        return found[first:] + found[:first]
