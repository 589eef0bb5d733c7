"""What an episode has to tell, as it crosses from a child process to the row."""

from __future__ import annotations

from msgspec import Struct, field

from postroom.simulation.checkers import Breach, Checkers


class Told(Struct):
    """One episode: ``breaches`` of promises, and in ``wrong`` whatever else is not as it must be."""

    kind: str
    seed: int
    messages: int = 0
    breaches: list[Breach] = field(default_factory=list[Breach])
    wrong: list[str] = field(default_factory=list[str])
    figures: dict[str, float] = field(default_factory=dict[str, float])

    def judged(self, checkers: Checkers) -> Told:
        """Take in what the checkers have found."""
        self.messages = checkers.messages
        self.breaches = checkers.breaches
        return self

    def count(self, name: str, n: int = 1) -> None:
        self.figures[name] = self.figures.get(name, 0) + n

    def check(self, good: bool, what: str) -> None:
        """Note ``what`` unless it is good."""
        if not good:
            self.wrong.append(what)


class Order(Struct):
    """Episodes for one child: ``kind`` and seed of each, done one after the other in a folder."""

    folder: str
    episodes: list[tuple[str, int]]
    size: str = ""
    uid: int | None = None
