"""Random histories of the store port against its model, as a machine of hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_walk import RULES, World
from worlds import memory_world

T = TypeVar("T")


class Drawn:
    """Chance from hypothesis, which can shrink it."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def of(self, options: Sequence[T]) -> T:
        return options[self._data.draw(st.integers(0, len(options) - 1))]

    def number(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))


class PortMachine(RuleBasedStateMachine):
    """Any operations in any order, on the memory engine."""

    world: World

    def open(self) -> World:
        return memory_world()

    @initialize()
    def begin(self) -> None:
        self.world = self.open()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.judge()
            finally:
                self.world.close()

    @rule(data=st.data(), which=st.sampled_from(RULES))
    def do_one(self, data: st.DataObject, which: Callable[..., object]) -> None:
        self.world.do(which(self.world, Drawn(data)))  # type: ignore[arg-type]  # a rule makes an operation

    @rule(data=st.data(), count=st.integers(2, 5))
    def do_several_in_one_batch(self, data: st.DataObject, count: int) -> None:
        chance = Drawn(data)
        self.world.do(*(self.world.operation(chance) for _ in range(count)))

    @rule(data=st.data())
    def let_time_pass(self, data: st.DataObject) -> None:
        self.world.pass_time(Drawn(data))

    @rule(data=st.data())
    def undo_a_batch(self, data: st.DataObject) -> None:
        self.world.undo(self.world.operation(Drawn(data)))

    @rule()
    def lose_the_handle(self) -> None:
        self.world.lose_handle()

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        if hasattr(self, "world"):
            self.world.check()
