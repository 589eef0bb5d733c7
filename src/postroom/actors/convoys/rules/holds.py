"""Who may change which files: a file is one task's at a time, and a folder stands for all that is in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence


class Holds:
    """The files of tasks that are being worked on, and who waits for them."""

    def __init__(self) -> None:
        self._owner: dict[str, str] = {}
        self._inside: dict[str, Counter[str]] = defaultdict(Counter)
        self._waiting: dict[str, list[str]] = defaultdict(list)

    def take(self, id: str, files: Iterable[str]) -> None:
        """These files are this task's from now on."""
        for file in dict.fromkeys(files):
            self._owner[file] = id
            for folder in _folders(file):
                self._inside[folder][id] += 1

    def give_back(self, id: str, files: Sequence[str]) -> list[str]:
        """These files are free again; answers the tasks that waited for their owner."""
        if not files:
            return []
        for file in files:
            if self._owner.get(file) == id:
                del self._owner[file]
                self._free_folders(id, file)
        return self._waiting.pop(id, [])

    def parked(self, id: str, files: Sequence[str]) -> bool:
        """Whether one of these files is somebody's; then the task waits for that one."""
        for file in files:
            owner = self._blocker(id, file)
            if owner is not None:
                self._waiting[owner].append(id)
                return True
        return False

    def _blocker(self, id: str, file: str) -> str | None:
        for path in (file, *_folders(file)):
            owner = self._owner.get(path)
            if owner is not None and owner != id:
                return owner
        return next((owner for owner in self._inside.get(file, ()) if owner != id), None)

    def _free_folders(self, id: str, file: str) -> None:
        for folder in _folders(file):
            owners = self._inside[folder]
            owners[id] -= 1
            if not owners[id]:
                del owners[id]
            if not owners:
                del self._inside[folder]


def overlap(first: Sequence[str], second: Sequence[str]) -> str | None:
    """The first path of ``second`` that ``first`` owns too, or owns a folder of, or something in."""
    owned = set(first)
    inside = {folder for file in first for folder in _folders(file)}
    for file in second:
        if file in owned or file in inside or any(folder in owned for folder in _folders(file)):
            return file
    return None


def _folders(file: str) -> Iterator[str]:
    """The folders that a path is in, from the nearest up."""
    while "/" in file:
        file = file.rpartition("/")[0]
        yield file
