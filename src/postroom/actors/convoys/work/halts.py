"""Cutting short what runs in this process: one attempt, or all of them at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from math import inf

import trio


class Halts:
    """The scopes of the attempts, checks and reviews that run here; an attempt may have several reviews."""

    def __init__(self) -> None:
        self._scopes: defaultdict[tuple[str, int], list[trio.CancelScope]] = defaultdict(list)
        self._halted: set[tuple[str, int]] = set()
        self._all = False

    @contextmanager
    def scope(self, task: str, attempt: int, seconds: float = inf) -> Generator[trio.CancelScope]:
        """What runs inside may be cut short, and is after so many seconds; then the block ends early, without
        an error.
        """
        key = (task, attempt)
        with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:
            self._scopes[key].append(scope)
            if self.halted(task, attempt):
                scope.cancel()
            try:
                yield scope
            finally:
                self._scopes[key].remove(scope)
                if not self._scopes[key]:
                    del self._scopes[key]

    def halted(self, task: str, attempt: int) -> bool:
        """Whether somebody has cut short this attempt, or everything."""
        return self._all or (task, attempt) in self._halted

    def halt(self, task: str, attempt: int) -> None:
        """Cut short what runs here of this attempt, also what would begin from now on."""
        self._halted.add((task, attempt))
        for scope in self._scopes.get((task, attempt), ()):
            scope.cancel()

    def halt_all(self) -> None:
        """Cut short everything, also what would begin from now on."""
        self._all = True
        for scopes in self._scopes.values():
            for scope in scopes:
                scope.cancel()
