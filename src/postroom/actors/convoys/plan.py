"""What a convoy file says, once it has been read and checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

DEFAULT_CONCURRENCY = 2
"""Tasks that run at once."""

DEFAULT_RETRIES = 1
DEFAULT_TIMEOUT = 1800.0
"""Seconds that one attempt of a task may take."""


@frozen
class Task:
    """One task. It has either a ``command`` or a ``call``.

    ``command`` is a program and its words. ``call`` is ``module:function``, which is called with
    ``arguments`` as keywords. ``retries`` counts attempts after the first; ``timeout`` is in seconds
    and for one attempt. ``cwd`` is an absolute path.
    """

    id: str
    cwd: str
    command: tuple[str, ...] = ()
    call: str = ""
    arguments: dict[str, Any] = field(factory=dict[str, Any])
    depends_on: tuple[str, ...] = ()
    retries: int = DEFAULT_RETRIES
    timeout: float = DEFAULT_TIMEOUT
    env: dict[str, str] = field(factory=dict[str, str])


@frozen
class Convoy:
    """A graph of tasks without a cycle. ``tasks`` is in the order of the file."""

    name: str
    concurrency: int
    tasks: tuple[Task, ...]

    def task(self, id: str) -> Task:
        """The task of this id; ``KeyError`` if there is none."""
        for task in self.tasks:
            if task.id == id:
                return task
        raise KeyError(id)

    def dependants(self, id: str) -> Iterable[Task]:
        """The tasks that name ``id`` in their ``depends_on``."""
        return (task for task in self.tasks if id in task.depends_on)
