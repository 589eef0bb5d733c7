"""Running a world on virtual time, to whatever end it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
import trio.testing


def run_to_its_end(main: Callable[[], Awaitable[None]], ended_of: Callable[[BaseException], None]) -> None:
    """Run ``main`` on a clock that jumps to what comes next. Ctrl-C comes out as what it is, from however
    many nurseries.

    An error that ends the whole run is a finding: ``ended_of`` is told of it.
    """
    clock = trio.testing.MockClock(autojump_threshold=0)
    try:
        trio.run(main, clock=clock, restrict_keyboard_interrupt_to_checkpoints=True)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from group
        ended_of(group)
    except Exception as error:  # noqa: BLE001  # a crash is a finding, whatever has crashed
        ended_of(error)
