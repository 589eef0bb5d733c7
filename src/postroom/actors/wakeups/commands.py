"""Waking by a command: a template of words, run without a shell in a process group of its own."""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Sequence

import trio

from ..process_groups import end_group
from .drivers import Delivered, Order

FIELDS = Order.__struct_fields__
_field = re.compile("{(" + "|".join(FIELDS) + ")}")

GRACE_SECONDS = 2.0

CHUNK_BYTES = 65_536
SHOWN_CHARACTERS = 200

log = logging.getLogger("postroom.wakeups")


def words(template: Sequence[str], order: Order) -> list[str]:
    """The command line for an order. What is put in is never looked through again."""
    return [_field.sub(lambda match: str(getattr(order, match[1])), word) for word in template]


class CommandDriver:
    """Wakes by running a command: exit code 0 is sent, any other is failed.

    ``timeout`` is in seconds; a command that takes longer is ended with all its children, and whether
    it had its effect is unknown. ``grace`` seconds lie between SIGTERM and SIGKILL.
    """

    def __init__(self, template: Sequence[str], *, timeout: float, grace: float = GRACE_SECONDS) -> None:
        self._template = tuple(template)
        self._timeout = timeout
        self._grace = grace

    async def wake(self, order: Order) -> Delivered:
        """Run it once. Cancelled, it is ended; whether it had its effect is unknown."""
        try:
            process = await trio.lowlevel.open_process(
                words(self._template, order),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("%s cannot be woken: %s", order.address, error)
            return Delivered.FAILED
        with trio.move_on_after(self._timeout):
            return await self._watch(process, order)
        log.warning("the command that wakes %s took longer than %g s", order.address, self._timeout)
        return Delivered.UNKNOWN

    async def _watch(self, process: trio.Process, order: Order) -> Delivered:
        """Wait for its end, while what it prints is read and all but the last of it dropped."""
        said = bytearray()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_keep_last, process, said)
                code = await process.wait()
                nursery.cancel_scope.cancel()  # a child in the background may hold the pipe open
        finally:
            if process.returncode is None:
                with trio.CancelScope(shield=True):
                    await end_group(process, self._grace)
            if process.stdout is not None:
                with trio.CancelScope(shield=True):
                    await process.stdout.aclose()
        if code == 0:
            return Delivered.SENT
        if code < 0:  # somebody killed it, perhaps after it had its effect
            log.warning("the command that wakes %s was killed by signal %d", order.address, -code)
            return Delivered.UNKNOWN
        last = said.decode(errors="replace").strip()[-SHOWN_CHARACTERS:]
        log.warning("the command that wakes %s ended with %d: %r", order.address, code, last)
        return Delivered.FAILED


async def _keep_last(process: trio.Process, said: bytearray) -> None:
    assert process.stdout is not None
    while chunk := await process.stdout.receive_some(CHUNK_BYTES):
        said += chunk
        del said[:-CHUNK_BYTES]
