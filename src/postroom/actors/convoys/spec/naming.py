"""The names of gates and hooks: each is used once where notes of them meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from attrs import evolve

from ..blanks import Path
from ..plan import Gate, GateKind, Hook
from .faults import Faults
from .parts import first_word

Part = TypeVar("Part", Gate, Hook)


class Names:
    """The names that are taken. ``given`` are those that people chose: nobody else gets them."""

    def __init__(self, taken: Iterable[str], given: Iterable[str], faults: Faults) -> None:
        self._taken = set(taken)
        self._given = set(given)
        self._faults = faults

    def named(self, parts: Sequence[Part], path: Path) -> tuple[Part, ...]:
        """The same gates or hooks, each with a name of its own; a fault for one that is used twice."""
        return tuple(evolve(part, name=self._name(part, (*path, n))) for n, part in enumerate(parts))

    def _name(self, part: Gate | Hook, path: Path) -> str:
        if part.name:
            if part.name in self._taken:
                self._faults.add(path, f"the name {part.name} is used twice", "name it anew")
            self._taken.add(part.name)
            return part.name
        usual = _usual(part)
        name, n = usual, 1
        while name in self._taken or name in self._given:
            n += 1
            name = f"{usual}-{n}"
        self._taken.add(name)
        return name


def _usual(part: Gate | Hook) -> str:
    """What a part is called that has no name: after its program, or after what it is."""
    if part.command:
        return first_word(part.command) or ("gate" if isinstance(part, Gate) else "hook")
    return part.kind.value if part.kind is not GateKind.COMMAND else "gate"


def names_given(*parts: Sequence[Gate | Hook]) -> list[str]:
    """The names that people chose themselves."""
    return [part.name for group in parts for part in group if part.name]
