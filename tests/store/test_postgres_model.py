"""Random histories of the whole port against the tiny model, on a server."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from choosing import Dice
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from postgres_server import Postgres
from server_worlds import server_world
from store_machine import PortMachine
from store_walk import World

FEW = settings(
    max_examples=6,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@contextmanager
def a_schema(server: Postgres) -> Generator[str]:
    """The URL of a new store, which is dropped afterwards."""
    schema = f"model_{uuid4().hex}"
    try:
        yield server.url(schema)
    finally:
        server.drop(schema)


def test_any_operations_in_any_order_are_answered_on_a_server_as_by_the_model(postgres: Postgres) -> None:
    class ServerMachine(PortMachine):
        def open(self) -> World:
            self.schema = a_schema(postgres)
            return server_world(self.schema.__enter__())

        def teardown(self) -> None:
            super().teardown()
            if hasattr(self, "schema"):
                self.schema.__exit__(None, None, None)

    run_state_machine_as_test(ServerMachine, settings=FEW)


@pytest.mark.parametrize("seed", range(3))
def test_a_long_walk_on_a_server_is_as_the_model(postgres_url: str, seed: int) -> None:
    world, dice = server_world(postgres_url), Dice(seed)
    try:
        for _ in range(60):
            world.step(dice)
        world.check()
        world.judge()
    finally:
        world.close()
