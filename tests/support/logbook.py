"""An actor that writes down what it does, and how it becomes so quick that mail waits in its hands."""

from __future__ import annotations

import trio
from troupe import Job

from postroom import Actor, System, handles
from postroom.testing import settled

QUICK = 40
"""Jobs after which an actor takes more mail at hand than it can begin at once."""


class Log:
    """What the actors of one log have told, as (what, address, word, time); a job lasts ``n`` seconds."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, float]] = []
        self.actor = self._make()

    @property
    def begun(self) -> list[str]:
        """The words of the jobs that were begun, in order."""
        return [word for what, _, word, _ in self.told if what == "begun"]

    @property
    def done(self) -> list[str]:
        """The words of the jobs that were done, in order."""
        return [word for what, _, word, _ in self.told if what == "done"]

    @property
    def story(self) -> list[str]:
        """What was told, such as ``begun a`` and ``stopped``."""
        return [f"{what} {word}".rstrip() for what, _, word, _ in self.told]

    @property
    def times(self) -> list[float]:
        """When jobs were begun."""
        return [time for what, _, _, time in self.told if what == "begun"]

    @property
    def places(self) -> list[tuple[str, str]]:
        """Where jobs were begun: address and word."""
        return [(address, word) for what, address, word, _ in self.told if what == "begun"]

    def _make(self) -> type[Actor]:
        log = self

        class Logging(Actor):
            @handles(Job)
            async def work(self, job: Job) -> None:
                self._tell("begun", job.word)
                try:
                    await trio.sleep(job.n)
                except trio.Cancelled:
                    self._tell("cancelled", job.word)
                    raise
                self._tell("done", job.word)

            async def on_stop(self) -> None:
                self._tell("stopped", "")

            def _tell(self, what: str, word: str) -> None:
                log.told.append((what, self.address, word, trio.current_time()))

        return Logging

    async def start_quick(self, office: System, *, ordered: bool | None = None) -> None:
        """Start ``log/main`` and let it become quick."""
        await office.start("log/main", self.actor, ordered=ordered)
        await office.send_many("log/main", [Job(0, "quick")] * QUICK)
        await settled(office, timeout=60)
        self.told.clear()
