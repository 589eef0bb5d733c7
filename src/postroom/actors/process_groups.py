"""Ending a command with all that it has started, in the process group that it was given."""

from __future__ import annotations

import os
import signal

import trio


async def end_group(process: trio.Process, grace: float) -> None:
    """End the group that a process leads: SIGTERM, and ``grace`` seconds after SIGKILL for what is left."""
    _signal_group(process.pid, signal.SIGTERM)
    with trio.move_on_after(grace):
        await process.wait()
    _signal_group(process.pid, signal.SIGKILL)  # also for children that outlive their parent
    await process.wait()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # all of them have ended
