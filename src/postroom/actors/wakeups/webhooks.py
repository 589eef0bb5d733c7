"""Waking by a webhook: one POST with the order as JSON, and its receipt as the idempotency key."""

from __future__ import annotations

import logging
import socket
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

import msgspec
import trio

from ...store.errors import BadInput
from .drivers import Delivered, Order

READ_BYTES = 65_536
"""How much of an answer is read; none of it is used."""

log = logging.getLogger("postroom.wakeups")


def check_url(url: str) -> SplitResult:
    """The parts of a webhook's URL. Raises ``BadInput``."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # asking for it is what checks it
    except ValueError as error:
        raise BadInput(f"not a webhook: {url[:200]!r}", str(error), "give an http or https URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or " " in url:
        raise BadInput(f"not a webhook: {url[:200]!r}", "it is no http URL", "give an http or https URL")
    return parts


class WebhookDriver:
    """Wakes by HTTP: 2xx is sent; 4xx, or nobody there to connect to, is failed; all else is unknown.

    ``timeout`` is in seconds, for all of it. Redirects are not followed.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self._parts = check_url(url)
        self._timeout = timeout

    async def wake(self, order: Order) -> Delivered:
        """Post once. Cancelled, the request may have had its effect."""
        call = _Call(self._parts, self._timeout)
        try:
            with trio.move_on_after(self._timeout):
                return await trio.to_thread.run_sync(call.post, order, abandon_on_cancel=True)
        finally:
            call.hang_up()
        log.warning("the webhook that wakes %s took longer than %g s", order.address, self._timeout)
        return Delivered.UNKNOWN


class _Call:
    """One request, in a thread. It can be hung up from outside, which ends the thread too."""

    def __init__(self, parts: SplitResult, timeout: float) -> None:
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def post(self, order: Order) -> Delivered:
        try:
            self._connection.connect()
        except OSError as error:  # nothing was sent yet
            log.warning("the webhook that wakes %s cannot be reached: %s", order.address, error)
            return Delivered.FAILED
        try:
            status = self._exchange(order)
        except (OSError, HTTPException) as error:
            log.warning("the webhook that wakes %s did not answer: %s", order.address, error)
            return Delivered.UNKNOWN
        finally:
            self._connection.close()
        if 200 <= status < 300:
            return Delivered.SENT
        log.warning("the webhook that wakes %s answered %d", order.address, status)
        return Delivered.FAILED if 400 <= status < 500 else Delivered.UNKNOWN

    def _exchange(self, order: Order) -> int:
        headers = {"Content-Type": "application/json", "Idempotency-Key": order.receipt}
        self._connection.request("POST", self._target, msgspec.json.encode(order), headers)
        answer = self._connection.getresponse()
        answer.read(READ_BYTES)
        return answer.status

    def hang_up(self) -> None:
        """End whatever is under way."""
        held: socket.socket | None = self._connection.sock
        if held is None:
            return
        try:
            held.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was closed meanwhile
