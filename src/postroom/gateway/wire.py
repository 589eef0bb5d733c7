"""HTTP/1.1 on one stream: requests are read by h11, answers are few and simple enough to write here.

Each request gets an h11 connection of its own, for reading only; what came after it is left to the next.
Whatever could be understood in two ways is refused, and the connection with it.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

import h11
import trio
from msgspec import Struct

from ..store.errors import BadInput
from .line import Line
from .statuses import REASONS, HeadTooLarge, TooLarge

HEAD_BYTES = 16 * 1024
BODY_BYTES = 1 << 20
CHUNK = 16 * 1024
HEAD_SECONDS, BODY_SECONDS, WRITE_SECONDS = 10.0, 30.0, 30.0
"""How long the client may take: for the rest of a head, of a body, and for taking the answer."""

LINGER_BYTES, LINGER_SECONDS = 4 << 20, 2.0

Headers = Sequence[tuple[bytes, bytes]]


class Head(Struct, frozen=True):
    """The first part of a request; names of headers are in lower case."""

    method: str
    path: str
    headers: Headers
    version: bytes

    def all(self, name: bytes) -> list[bytes]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]

    def one(self, name: bytes) -> str | None:
        """The only value of a header, or None if there is none. Raises ``BadInput`` if there are more."""
        values = self.all(name)
        if len(values) > 1:
            raise BadInput(f"more than one {name.decode()} header", "which one counts?", "send one")
        return values[0].decode("latin-1") if values else None


class Answer(Struct):
    """A response. ``unwritten`` is called if it could not be written, so that nobody has seen it."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: Headers = ()
    unwritten: Callable[[], Awaitable[None]] | None = None


class Wire:
    """One connection. Only one request at a time is read, answered, and then forgotten.

    ``allow`` is told how many seconds the client has from now on, whenever it is waited for in the
    middle of something.
    """

    def __init__(self, sock: socket.socket, allow: Callable[[float], None]) -> None:
        self.line = Line(sock, partial(allow, WRITE_SECONDS))
        self._allow = allow
        self._rest = b""
        self._h11 = _reader()
        self._complete = True
        self.begun = False
        """Whether a request has begun to come and is not yet answered."""
        self.waited = False
        """Whether the body of the present request was waited for."""

    # Reading

    async def head(self) -> Head | None:
        """The next request's head; None when the client is done. Raises ``BadInput`` for what is none."""
        self._h11, self._complete, self.begun, self.waited = _reader(), False, False, False
        data, self._rest = self._rest, b""
        if data:
            await trio.lowlevel.checkpoint()  # who sends much at once does not keep others waiting
        else:
            data = await self.line.receive(CHUNK)
        self._h11.receive_data(data)
        self.begun = bool(data)
        event = self._next()
        if event is h11.NEED_DATA:
            self._allow(HEAD_SECONDS)
        while event is h11.NEED_DATA:
            self._h11.receive_data(await self.line.receive(CHUNK))
            event = self._next()
        return _checked(event) if isinstance(event, h11.Request) else None

    async def body(self) -> bytes:
        """The whole body, of at most 1 MiB. Raises ``TooLarge`` and ``BadInput``."""
        parts: list[bytes] = []
        size = 0
        while True:
            event = self._next()
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))
                size += len(event.data)
                if size > BODY_BYTES:
                    raise _too_large(f"more than {BODY_BYTES} bytes")
            elif isinstance(event, h11.EndOfMessage):
                self._end()
                return parts[0] if len(parts) == 1 else b"".join(parts)
            elif event is h11.NEED_DATA:
                await self._more()
            else:
                raise BadInput("the request ends before its body does", "the client stopped", "send it whole")

    def skip(self) -> None:
        """Drop the body of a request that is refused unread, as far as it has come and makes sense."""
        if self._complete or self._h11.their_state is not h11.SEND_BODY:
            return
        event: object = None
        with suppress(BadInput):  # it is refused already
            while event is not h11.NEED_DATA:
                event = self._next()
                if isinstance(event, h11.EndOfMessage):
                    self._end()
                    return

    def _end(self) -> None:
        self._complete = True
        self._rest = self._h11.trailing_data[0]

    async def _more(self) -> None:
        if not self.waited:
            self.waited = True
            self._allow(BODY_SECONDS)
            if self._h11.they_are_waiting_for_100_continue:
                await self.line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._h11.receive_data(await self.line.receive(CHUNK))

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                raise HeadTooLarge(
                    "a head that is too large", f"at most {HEAD_BYTES} bytes are taken", "send less"
                ) from error
            raise BadInput("not HTTP/1.1", str(error), "send a well-formed request") from error

    async def until_gone(self) -> bool:
        """Wait for the client to close; False if it sends more instead, which is left for later."""
        return False if self._rest else await self.line.until_gone()

    # Answering

    async def write(self, answer: Answer, date: bytes, *, last: bool, bodiless: bool = False) -> None:
        """Write an answer. Raises ``Gone`` if nobody is there to take it."""
        self.begun = False  # from its first byte on nothing else may be said
        await self.line.send(written(answer, date, last=last, bodiless=bodiless))

    @property
    def reusable(self) -> bool:
        """Whether the client means to send more, and the present request was read to its end."""
        return self._complete and self._h11.their_state is h11.DONE

    async def linger(self) -> None:
        """Close so that the answer arrives: what the client is still sending would destroy it."""
        self.line.send_no_more()
        left = 0 if self._complete else LINGER_BYTES
        with trio.move_on_after(LINGER_SECONDS):
            while left > 0 and (data := await self.line.receive(1 << 16)):
                left -= len(data)


def _reader() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)


def _checked(event: h11.Request) -> Head:
    """The head, unless its framing or its target could be read in two ways."""
    head = Head(
        event.method.decode("ascii"), event.target.decode("ascii"), list(event.headers), event.http_version
    )
    size = sum(len(name) + len(value) + 4 for name, value in head.headers) + len(event.target)
    if size > HEAD_BYTES:
        raise HeadTooLarge("a head that is too large", f"at most {HEAD_BYTES} bytes are taken", "send less")
    coded, lengths = head.all(b"transfer-encoding"), head.all(b"content-length")
    if coded and (lengths or event.http_version != b"1.1"):
        raise BadInput("a length that is told twice", "Transfer-Encoding excludes Content-Length", "send one")
    if not head.path.startswith("/"):
        raise BadInput("a target that is no path", "this is no proxy", "ask for a path")
    if lengths and int(lengths[0]) > BODY_BYTES:
        raise _too_large(f"{lengths[0][:20].decode()} bytes")
    return head


def _too_large(found: str) -> TooLarge:
    return TooLarge("a request that is too large", f"{found}, at most {BODY_BYTES} are taken", "send less")


def written(answer: Answer, date: bytes, *, last: bool, bodiless: bool = False) -> bytes:
    """An answer as bytes; ``bodiless`` for one to HEAD."""
    lines = [
        b"HTTP/1.1 %d %s" % (answer.status, REASONS[answer.status].encode()),
        b"date: " + date,
        b"content-type: " + answer.content_type,
        b"content-length: %d" % len(answer.body),
        b"cache-control: no-store",
        b"x-content-type-options: nosniff",
        *(name + b": " + value for name, value in answer.headers),
    ]
    if last:
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if bodiless else answer.body)
