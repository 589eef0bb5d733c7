"""The server: accepts connections, has their requests answered, and closes in good order."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from email.utils import formatdate
from functools import partial
from math import inf
from typing import cast

import msgspec
import trio

from ..mailbox import codec, views
from ..store.clock import MICROS
from ..store.errors import BadInput, PostroomError, StoreUnavailable
from ..store.port import Store
from ..telemetry.metrics import Metrics
from . import pages
from .crowd import Crowd, Guest
from .door import Caller, Door
from .line import Gone
from .statuses import NotFound, TooSlow, WrongContent, WrongMethod, status_of
from .verbs import Asked, Flags, Verbs
from .wire import HEAD_SECONDS, Answer, Head, Headers, Wire

REST_SECONDS = 75.0
"""How long a connection is kept open between two requests."""

FAREWELL_SECONDS = 1.0
GRACE_SECONDS = 10.0
PREFIX = "/v1/"
EXHAUSTED_SECONDS = 0.1
"""How long nobody is let in after the system could not accept a connection."""

NEEDS = {"register": "poll", "deregister": "poll", "show": "poll"}
"""Which verb of a token stands for one that tokens do not name."""

log = logging.getLogger("postroom.gateway")


class Gateway:
    """``/v1`` and the pages of one store, on any number of listeners, each with a door of its own."""

    def __init__(self, store: Store, verbs: Verbs, metrics: Metrics, crowd: Crowd | None = None) -> None:
        self.crowd = Crowd() if crowd is None else crowd
        self._store = store
        self._verbs = verbs
        self._metrics = metrics
        self._accepting = trio.CancelScope()
        self._date = (0, b"")

    async def run(
        self,
        entrances: Iterable[tuple[socket.socket, Door]],
        grace: float = GRACE_SECONDS,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until ``close``; requests under way then have ``grace`` seconds. Closes the listeners.

        The group commit of the verbs must run until this has returned.
        """
        async with trio.open_nursery() as connections:
            with self._accepting:
                async with trio.open_nursery() as doors:
                    for listener, door in entrances:
                        doors.start_soon(self._accept, listener, door, connections)
                    task_status.started()
            self.crowd.close()
            connections.cancel_scope.deadline = trio.current_time() + grace

    def close(self) -> None:
        """Accept nobody else, answer long polls with nothing, and let ``run`` come to its end."""
        self._accepting.cancel()

    # Connections

    async def _accept(self, listener: socket.socket, door: Door, connections: trio.Nursery) -> None:
        """Let in who comes, until cancelled; then nobody can come any more."""
        listener.setblocking(False)
        try:
            while True:
                await trio.lowlevel.wait_readable(listener)
                try:
                    sock, _ = listener.accept()
                except (BlockingIOError, ConnectionError):  # whoever it was has left again
                    continue
                except OSError as error:  # too many open files, mostly; those who are served go on
                    log.error("no connection can be accepted: %s", error)
                    await trio.sleep(EXHAUSTED_SECONDS)
                    continue
                connections.start_soon(self._welcome, door, sock)
        finally:
            trio.lowlevel.notify_closing(listener)
            listener.close()

    async def _welcome(self, door: Door, sock: socket.socket) -> None:
        """One connection, from its first request to its last."""
        guest = Guest()
        wire = Wire(sock, guest.allow)
        with wire.line:
            if not self.crowd.enter(guest):
                return
            guest.allow(HEAD_SECONDS)
            try:
                with guest.scope:
                    while await self._exchange(door, guest, wire):
                        guest.allow(REST_SECONDS)
                if guest.scope.cancelled_caught and wire.begun and not guest.evicted:
                    await self._say_too_slow(wire)
            finally:
                self.crowd.leave(guest)

    async def _exchange(self, door: Door, guest: Guest, wire: Wire) -> bool:
        """One request and its answer; whether there may be another."""
        bodiless = False
        try:
            head = await wire.head()
            if head is None:
                return False
            bodiless = head.method == "HEAD"
            answer = await self._answered(door, guest, wire, head)
        except PostroomError as error:
            wire.skip()
            answer = refusal(error)
        except Gone:
            return False
        except Exception as error:
            log.exception("a request failed unexpectedly")
            why = type(error).__name__
            answer = refusal(PostroomError("postroom failed unexpectedly", why, "look at the server's log"))
        reusable = wire.reusable and not self.crowd.closing
        if not await self._wrote(wire, answer, last=not reusable, bodiless=bodiless):
            return False
        if not reusable:
            await wire.linger()
            return False
        return self.crowd.rest(guest)

    async def _wrote(self, wire: Wire, answer: Answer, *, last: bool, bodiless: bool) -> bool:
        """Write an answer; whether that was done. What nobody has seen is taken back at once."""
        written = False
        try:
            if answer.unwritten is None or not wire.line.gone():
                await wire.write(answer, self._now(), last=last, bodiless=bodiless)
                written = True
        except Gone:
            return False
        finally:
            if not written and answer.unwritten is not None:
                await _take_back(answer.unwritten)
        return written

    async def _say_too_slow(self, wire: Wire) -> None:
        error = TooSlow("the request took too long", "its time is over", "send it faster")
        with trio.move_on_after(FAREWELL_SECONDS):
            await self._wrote(wire, refusal(error), last=True, bodiless=False)

    def _now(self) -> bytes:
        """The date header of this second."""
        second = self._store.clock.now().wall // MICROS
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]

    # Requests

    async def _answered(self, door: Door, guest: Guest, wire: Wire, head: Head) -> Answer:
        door.check(head)
        path, _, query = head.path.partition("?")
        if path in pages.PATHS:
            return await self._show(path, door, guest, wire, head)
        verb = path.removeprefix(PREFIX)
        act = self._verbs.table.get(verb)
        if act is None or verb == path:
            raise NotFound("nothing is here", path[:200], "see: postroom serve --help")
        if head.method != "POST":
            raise WrongMethod("POST")
        if query:
            raise BadInput("a query in the URL", "what is asked stands in the body", "send it as JSON")

        async def admit() -> Caller:
            caller = await door.admit(self._store, head)
            caller.check_verb(NEEDS.get(verb, verb))
            return caller

        caller = await admit()
        flags = await self._flags(guest, wire, head)
        if wire.waited:
            caller = await admit()
        park = partial(self._park, wire)
        return await act(Asked(caller, flags, head.one(b"idempotency-key"), admit, park))

    async def _flags(self, guest: Guest, wire: Wire, head: Head) -> Flags:
        """The body as a JSON object. From here on, the request is under way and is not interrupted."""
        if (head.one(b"content-type") or "").partition(";")[0].strip().lower() != "application/json":
            raise WrongContent(
                "not JSON", "the Content-Type is not application/json", "send it with one that is"
            )
        body = await wire.body()
        self._begin(guest)
        flags: object = codec.strict(body)
        if not isinstance(flags, dict):
            raise BadInput("not an object", "what is asked is a JSON object", "write {...}")
        return cast("Flags", flags)

    def _begin(self, guest: Guest) -> None:
        guest.allow(inf)
        self.crowd.begin(guest)

    async def _show(self, path: str, door: Door, guest: Guest, wire: Wire, head: Head) -> Answer:
        if head.method not in ("GET", "HEAD"):
            raise WrongMethod("GET")
        if door.public and path == "/metrics":
            (await door.admit(self._store, head)).check_verb("metrics")
        await wire.body()
        self._begin(guest)
        return await pages.show(path, head, self._metrics)

    async def _park(self, wire: Wire, work: Callable[[], Awaitable[None]]) -> None:
        """Run what waits, until it ends, the client has gone, or the server closes."""
        refused: PostroomError | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, wire, nursery.cancel_scope)
            try:
                with self.crowd.parking(nursery.cancel_scope):
                    await work()
            except PostroomError as error:  # as it is, and not in the nursery's group
                refused = error
            nursery.cancel_scope.cancel()
        if refused is not None:
            raise refused


async def _watch(wire: Wire, scope: trio.CancelScope) -> None:
    if await wire.until_gone():
        scope.cancel()


async def _take_back(unwritten: Callable[[], Awaitable[None]]) -> None:
    with trio.CancelScope(shield=True):
        try:
            await unwritten()
        except StoreUnavailable as error:
            log.warning("leases that nobody saw are left to their expiry: %s", error)


def refusal(error: PostroomError) -> Answer:
    """An error as every client of postroom sees it, under its status."""
    status = status_of(error)
    headers: Headers = ()
    if status == 401:
        headers = ((b"www-authenticate", b"Bearer"),)
    elif isinstance(error, WrongMethod):
        headers = ((b"allow", error.allow.encode()),)
    elif status in (429, 503):
        headers = ((b"retry-after", b"1"),)
    return Answer(status, msgspec.json.encode(views.error_view(error)), headers=headers)
