"""The gates that need no command: for secrets, for changes that are too large, and for none at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path

from attrs import frozen

from ..allowed import Allowed
from ..plan import Gate, GateKind
from ..record.secrets import find
from ..rules.attempts import BLOCKED, PASSED, UNRUN
from .changes import Changes, paths_below
from .paths import Unsafe, read_file, read_inside
from .trying import Tried

MOST_BYTES, MOST_TOGETHER = 1 << 20, 64 << 20
"""What is searched of one file, and of all: what is more than that cannot be vouched for."""

MOST_NAMED = 10


@frozen
class Matter:
    """What is looked at: ``changes`` in ``folder``, and what was said in ``log``.

    Without changes it is the whole convoy, and all that is in its folder. ``owned`` are the files that
    a task may change, ``allowed`` what looks like a secret and is none.
    """

    folder: str
    log: Path
    changes: Changes | None = None
    owned: tuple[str, ...] = ()
    allowed: tuple[Allowed, ...] = ()


def judge(gate: Gate, matter: Matter) -> Tried:
    """What a gate that is built in says. It reads files, so it belongs in a thread."""
    return _JUDGES[gate.kind](gate, matter)


def _blast_radius(gate: Gate, matter: Matter) -> Tried:
    changes = matter.changes
    if changes is None or not changes.known:
        return _unmeasured(changes)
    size = f"{changes.lines} lines in {changes.files} files"
    if changes.lines > gate.most_lines or changes.files > gate.most_files:
        return Tried(BLOCKED, f"{size}; at most {gate.most_lines} in {gate.most_files} may change")
    if changes.lines >= ceil(gate.most_lines * 2 / 5) or changes.files >= ceil(gate.most_files / 2):
        return Tried(PASSED, f"warning: {size}")
    return Tried(PASSED, size)


def _no_op(gate: Gate, matter: Matter) -> Tried:
    changes = matter.changes
    if changes is None or not changes.known:
        return _unmeasured(changes)
    owned = f" of {', '.join(matter.owned[:MOST_NAMED])}" if matter.owned else ""
    return Tried(PASSED) if changes.files else Tried(BLOCKED, f"it has changed nothing{owned}")


def _unmeasured(changes: Changes | None) -> Tried:
    if changes is None:
        return Tried(UNRUN, "it measures a task, and this is a whole convoy")
    return Tried(UNRUN, "nobody knows what was changed: say which files the task owns")


def _secret_scan(gate: Gate, matter: Matter) -> Tried:
    changes = matter.changes
    if changes is not None and len(changes.paths) != changes.files:
        return _unmeasured(changes)
    paths = paths_below(matter.folder) if changes is None else _own(matter, changes)
    places: list[str] = []
    left = MOST_TOGETHER
    try:
        for name, raw in _texts(matter, paths):
            left -= len(raw)
            if len(raw) > MOST_BYTES or left < 0:
                return Tried(UNRUN, f"{name} is too much to search")
            places += _places(name, raw.decode(errors="replace"), matter.allowed)
    except OSError as error:
        return Tried(UNRUN, f"{error.filename or 'a file'} cannot be read: {error.strerror or error}")
    if not places:
        return Tried(PASSED)
    more = f" and {len(places) - MOST_NAMED} more" if len(places) > MOST_NAMED else ""
    return Tried(BLOCKED, f"found {', '.join(places[:MOST_NAMED])}{more}")


def _own(matter: Matter, changes: Changes) -> Iterable[str]:
    """What a task owns, also where it is as it was, and whatever else it has changed."""
    owned = paths_below(matter.folder, matter.owned) if matter.owned else ()
    return dict.fromkeys((*owned, *changes.paths))


def _texts(matter: Matter, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """What was changed, if it is still there, and what was said. Links lead to what others wrote."""
    for path in paths:
        try:
            yield path, read_inside(matter.folder, path, MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError, Unsafe):
            continue
    try:
        # The log holds what several commands have said, each of them bounded.
        raw = read_file(str(matter.log), MOST_TOGETHER)
    except (FileNotFoundError, Unsafe):
        return
    for start in range(0, len(raw), MOST_BYTES):
        yield "what it said", raw[start : start + MOST_BYTES]


def _places(name: str, text: str, allowed: Sequence[Allowed]) -> Iterator[str]:
    """The kinds of the secrets in a text and their lines; never a secret itself."""
    for finding in find(text, allowed, name):
        yield f"{finding.kind} in {name}:{text.count(chr(10), 0, finding.start) + 1}"


_JUDGES: Mapping[GateKind, Callable[[Gate, Matter], Tried]] = {
    GateKind.BLAST_RADIUS: _blast_radius,
    GateKind.NO_OP: _no_op,
    GateKind.SECRET_SCAN: _secret_scan,
}
