"""Worlds of the store model, one for each engine."""

from __future__ import annotations

from pathlib import Path
from random import Random

from store_walk import World

from postroom.store.clock import ManualClock
from postroom.store.memory import MemoryStore
from postroom.store.process import this_process
from postroom.store.sqlite.file import FileStore, open_file


def memory_world() -> World:
    """On the memory engine: a handle is killed, and another one sees what it had committed."""
    clock = ManualClock()
    handles = [MemoryStore(clock)]
    handles[0].another_handle().kill("gone")

    def lose() -> MemoryStore:
        following = handles[-1].another_handle(seed=len(handles))
        handles[-1].kill()
        handles.append(following)
        return following

    return World(handles[0], clock, lose, here="here", dead="gone")


def file_world(path: Path) -> World:
    """On a file: a handle is closed, and the file opened anew."""
    clock = ManualClock()
    handles: list[FileStore] = []

    def lose() -> FileStore:
        for handle in handles[-1:]:
            handle.close()
        handles.append(open_file(path, create=True, clock=clock, rng=Random(len(handles))))
        return handles[-1]

    process = this_process()
    return World(lose(), clock, lose, here=process, dead=process.rpartition(":")[0] + ":0")
