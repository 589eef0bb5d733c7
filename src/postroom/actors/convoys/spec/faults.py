"""What is wrong with a convoy file: every fault at once, each with its line and the path of its key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from attrs import evolve, frozen

from ....store.errors import BadInput
from ..blanks import Path
from ..words import nearest
from .lines import lines_of

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
MOST_SHOWN = 100
"""Faults of one file that are shown; how many more there are is said."""

MOST_COMPARED = 200_000
"""Known words that unknown ones are compared with, for one file."""


@frozen
class Fault:
    """One thing that is wrong: where, what, and what to do about it. ``line`` counts from 1, 0 is unknown."""

    where: str
    what: str
    do: str = ""
    line: int = 0

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.do})" if self.do else text


class BadFile(BadInput):
    """A convoy file that cannot be run; nothing was changed. ``faults`` has them one by one."""

    def __init__(self, file: str, faults: tuple[Fault, ...]) -> None:
        self.file = file
        self.faults = faults
        if len(faults) == 1:
            (fault,) = faults
            place = _place(file, fault)
            what = f"{place}: {fault.where}" if fault.where else place
            super().__init__(what, fault.what, fault.do)
        else:
            listed = "; ".join(map(str, faults[:MOST_SHOWN]))
            super().__init__(f"{file}: {len(faults)} faults", listed, "mend them and try again")

    def lines(self) -> list[str]:
        """One line for each fault, after one that counts them; a single fault is one line."""
        if len(self.faults) == 1:
            return super().lines()
        shown = [f"{_place(self.file, fault)}: {fault}" for fault in self.faults[:MOST_SHOWN]]
        more = len(self.faults) - len(shown)
        return [f"{self.what} ({self.do})", *shown, *([f"and {more} more"] if more else [])]

    def details(self) -> dict[str, Any]:
        """The faults for programs."""
        listed = [{"where": f.where, "line": f.line or None, "what": f.what, "do": f.do} for f in self.faults]
        return {"faults": listed}


class Faults:
    """Gathers faults while a file is read. ``text`` is what the file says."""

    def __init__(self, file: str, text: str = "") -> None:
        self._file = file
        self._text = text
        self._found: list[tuple[Path, Fault]] = []
        self._touched: set[Path] = set()
        self._effort = MOST_COMPARED

    def add(self, path: Path, what: str, do: str = "") -> None:
        """Note what is wrong at a path, and what to do about it."""
        self._found.append((path, Fault(key_path(path), what, do)))
        self._touched.update(path[:n] for n in range(1, len(path) + 1))

    def hint(self, word: str, known: Iterable[str]) -> str:
        """What may have been meant. Looking for it takes long: of very many faults only the first get one."""
        if self._effort <= 0:
            return ""
        words = list(known)
        self._effort -= len(words)
        return nearest(word, words)

    def touch(self, path: Path) -> bool:
        """Whether something is wrong there, or in what is there: then more about it would be a guess."""
        return path in self._touched

    def settle(self) -> None:
        """Raise ``BadFile`` if anything was found, in the order of the lines."""
        if self._found:
            lines = lines_of(self._text)
            placed = [evolve(fault, line=_line(lines, path)) for path, fault in self._found]
            raise BadFile(self._file, tuple(sorted(placed, key=lambda fault: fault.line)))


def key_path(path: Path) -> str:
    """A path as TOML would write it: ``tasks.lint.depends_on[1]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if BARE_KEY.fullmatch(part) else '"' + part.replace('"', '\\"') + '"'
            text += f".{key}" if text else key
    return text


def _line(lines: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest part of it that the file has."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def _place(file: str, fault: Fault) -> str:
    return f"{file}:{fault.line}" if fault.line else file
