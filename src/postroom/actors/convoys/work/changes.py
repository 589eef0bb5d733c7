"""What an attempt has changed, by two looks at the files: one before, one after.

The files are those that the task owns; what it changes outside of them cannot be seen. For a task that
owns none, all of the convoy's folder is looked at, and whatever else changes there meanwhile, by other
tasks too, counts as its own.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from ..plan import Gate, GateKind, Task
from .paths import Unsafe, leads_out, lstat_inside, open_here, read_inside

MOST_FILES = 20_000
MOST_BYTES, MOST_TOGETHER = 1 << 20, 16 << 20
"""Of larger files, and once so much was read together, only size and times are looked at."""

MOST_PATHS, LONGEST_PATHS = 1000, 1 << 16
"""Paths that go on record, and how many characters of them; the number of files is always right."""

BYTES_A_LINE = 80
SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".postroom", ".venv", "node_modules", "__pycache__", ".hypothesis"}
    | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox"}
)
"""Folders that belong to tools, which nobody means who asks what a task has changed."""

MEASURING = (GateKind.BLAST_RADIUS, GateKind.NO_OP, GateKind.SECRET_SCAN)


@frozen
class Changes:
    """How many ``lines`` came and went, in how many ``files``, and the ``paths`` of those.

    The numbers are negative where nobody knows: there were too many files to look at.
    """

    lines: int = 0
    files: int = 0
    paths: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether they are known."""
        return self.files >= 0


NOTHING, UNKNOWN = Changes(), Changes(-1, -1)


@frozen
class Seen:
    """A file as it was. ``content`` is None for one that was too large to be read."""

    size: int
    times: tuple[int, int, int]
    content: bytes | None


@frozen
class Look:
    """The files as they were, by their paths. ``cut`` says that there were too many to look at all."""

    seen: Mapping[str, Seen]
    cut: bool = False


def measured(task: Task) -> bool:
    """Whether a task says what it may change, or has a gate that asks what it has changed."""
    gates: list[Gate] = [*task.gates, *(gate for step in task.steps for gate in step.gates)]
    return bool(task.files) or any(gate.kind in MEASURING for gate in gates)


def look_at_own(folder: str, files: Sequence[str]) -> Look:
    """As ``look_at``, at the files that a task owns. Raises ``Unsafe`` if a link leads one out of the folder.

    When the file of the convoy was read none did so; a task may have made one since, this one too.
    """
    for path in files:
        if leads_out(folder, path):
            raise Unsafe(f"{path} leads out of the convoy's folder by a symbolic link")
    return look_at(folder, files)


def look_at(folder: str, files: Sequence[str]) -> Look:
    """These files and all in these folders, by their paths; all of ``folder`` if none are named.

    Symbolic links are not followed: what they say is their content. What cannot be read is left out, and
    so is what this process has open itself, such as the store.
    """
    seen: dict[str, Seen] = {}
    together, spared = 0, open_here()
    for path, found in _walk(folder, files or ("",)):
        if (found.st_dev, found.st_ino) in spared:
            continue
        content: bytes | None = None
        if found.st_size <= MOST_BYTES and together + found.st_size <= MOST_TOGETHER:
            content = _content(folder, path, found, spared)
            together += len(content or b"")
        seen[path] = Seen(found.st_size, (found.st_mtime_ns, found.st_ctime_ns, found.st_ino), content)
        if len(seen) >= MOST_FILES:
            return Look(seen, cut=True)
    return Look(seen)


def changes(before: Look, after: Look) -> Changes:
    """What is different. Of a file that was changed, moved lines count as nothing, but at least one."""
    if before.cut or after.cut:
        return UNKNOWN
    one, other = before.seen, after.seen
    paths = sorted(path for path in one.keys() | other.keys() if _differ(one.get(path), other.get(path)))
    lines = sum(_lines(one.get(path), other.get(path)) for path in paths)
    return Changes(lines, len(paths), tuple(_short(paths)))


def paths_below(folder: str, files: Sequence[str] = ()) -> Iterator[str]:
    """The paths of files and links in a folder, without what belongs to tools."""
    return (path for path, _ in _walk(folder, files or ("",)))


def _walk(folder: str, starts: Sequence[str]) -> Iterator[tuple[str, os.stat_result]]:
    for start in starts:
        try:
            found = lstat_inside(folder, start) if start else Path(folder).stat()
        except (Unsafe, OSError):
            continue
        if found is None:
            continue
        if stat.S_ISDIR(found.st_mode):
            yield from _below(folder, start.rstrip("/"))
        else:
            yield start, found


def _below(folder: str, start: str) -> Iterator[tuple[str, os.stat_result]]:
    left = [start]
    while left:
        here = left.pop()
        try:
            entries = sorted(os.scandir(Path(folder, here)), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            path = f"{here}/{entry.name}" if here else entry.name
            if entry.is_dir(follow_symlinks=False):
                left += [path] if entry.name not in SKIPPED else []
            elif (found := _there(entry)) is not None:
                yield path, found


def _there(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:  # somebody else has removed it meanwhile
        return None


def _content(
    folder: str, path: str, found: os.stat_result, spared: frozenset[tuple[int, int]]
) -> bytes | None:
    try:
        if stat.S_ISLNK(found.st_mode):
            return os.fsencode(Path(folder, path).readlink())
        return read_inside(folder, path, MOST_BYTES, spared) if stat.S_ISREG(found.st_mode) else b""
    except (Unsafe, OSError):
        return None


def _differ(one: Seen | None, other: Seen | None) -> bool:
    if one is None or other is None:
        return one is not other
    if one.content is None or other.content is None:
        return (one.size, one.times) != (other.size, other.times)
    return one.content != other.content


def _lines(one: Seen | None, other: Seen | None) -> int:
    """Lines that came and lines that went, and at least one."""
    sides = [Seen(0, (0, 0, 0), b"") if side is None else side for side in (one, other)]
    texts = [side.content for side in sides]
    if any(text is None or b"\0" in text for text in texts):
        return max(1, max(side.size for side in sides) // BYTES_A_LINE)
    before, after = (Counter((text or b"").splitlines()) for text in texts)
    return max(1, (before - after).total() + (after - before).total())


def _short(paths: Sequence[str]) -> Iterator[str]:
    left = LONGEST_PATHS
    for path in paths[:MOST_PATHS]:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        left -= len(shown)
        if left < 0:
            return
        yield shown
