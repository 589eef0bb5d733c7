"""How somebody tests actors of their own: an example that is run."""

from __future__ import annotations

import attrs
from trio.testing import MockClock

from postroom import Actor, handles
from postroom.testing import open_testing_postroom, settled


@attrs.frozen
class CountWords:
    text: str


@attrs.frozen
class Counted:
    words: int


@attrs.define
class Totals:
    words: int = 0
    texts: int = 0


@attrs.frozen
class HowMany:
    pass


class Counter(Actor):
    @handles(CountWords)
    async def count(self, job: CountWords) -> Counted:
        return Counted(len(job.text.split()))


class Tally(Actor):
    state: Totals

    @handles(CountWords)
    async def pass_on(self, job: CountWords) -> None:
        self.send("counter/main", job)

    @handles(Counted)
    async def add(self, counted: Counted) -> None:
        self.state.words += counted.words
        self.state.texts += 1

    @handles(HowMany)
    async def tell(self, question: HowMany) -> Totals:
        return self.state


async def test_a_question_is_answered(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start("counter/main", Counter)
        counted = await office.ask("counter/main", CountWords("one two"), timeout=5, reply=Counted)
        assert counted == Counted(2)


async def test_a_tally_adds_up_what_was_counted(autojump_clock: MockClock) -> None:
    async with open_testing_postroom() as office:
        await office.start("counter/main", Counter)
        await office.start("tally/main", Tally)
        for text in ("one", "one two", "one two three"):
            await office.send("tally/main", CountWords(text))
        await settled(office)
        assert await office.ask("tally/main", HowMany(), timeout=5, reply=Totals) == Totals(6, 3)
