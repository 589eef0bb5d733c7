"""What is wrong with a convoy file: every fault at once, each with the path of its key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from attrs import frozen

from ...store.errors import BadInput

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

Path = tuple[str | int, ...]


@frozen
class Fault:
    """One thing that is wrong: where, what, and what to do about it."""

    where: str
    what: str
    do: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.do})" if self.do else text


class BadFile(BadInput):
    """A convoy file that cannot be run; nothing was changed. ``faults`` has them one by one."""

    def __init__(self, file: str, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        if len(faults) == 1:
            (fault,) = faults
            what = f"{file}: {fault.where}" if fault.where else file
            super().__init__(what, fault.what, fault.do)
        else:
            listed = "; ".join(map(str, faults))
            super().__init__(f"{file}: {len(faults)} faults", listed, "mend them and run it again")


class Faults:
    """Gathers faults while a file is read."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[Fault] = []

    def add(self, path: Path, what: str, do: str = "") -> None:
        self._found.append(Fault(key_path(path), what, do))

    def settle(self) -> None:
        """Raise ``BadFile`` if anything was found."""
        if self._found:
            raise BadFile(self._file, tuple(self._found))


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


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word most like ``word``, or else all of them."""
    words = list(known)
    near = get_close_matches(word, words, 1, 0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"known: {', '.join(words)}" if words else ""
