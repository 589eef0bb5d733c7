"""The verbs over HTTP: one request each, repeated where that is safe."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import anyio
import msgspec
from msgspec import Struct

from ..mailbox import verbs
from ..mailbox.codec import encode, one_line
from ..mailbox.ids import IdMaker, id_text
from ..store.errors import BadInput, OutcomeUnknown, PostroomError, StoreUnavailable
from .errors import closed, rebuilt, refuse_content
from .records import Polled, read
from .secrets import Secret
from .transport import View

if TYPE_CHECKING:
    import httpx2

SCHEMES = ("http", "https", "http+unix")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

LONG_POLL = 60.0
"""Seconds that one request for mail waits at most; a longer wait is several requests."""

CONNECT_SECONDS, WRITE_SECONDS, ANSWER_SECONDS = 5.0, 30.0, 20.0
IDLE_SECONDS = 60.0
"""How long an idle connection is kept: less than a gateway does."""

GIVE_BACK_SECONDS = 2.0
"""How long a cancelled poll may take to give back what it leased."""

TRIES = 4
FIRST_PAUSE, JITTER = 0.1, 0.3

SAFE = frozenset({"send", "poll", "ack", "nack", "extend", "register", "deregister", "show"})
"""Verbs that may be repeated though the first request may have had its effect: by id, key or fence."""

PASSING = frozenset({"store_busy", "too_busy", "outcome_unknown"})
"""Codes of errors that may be gone in a moment."""


class Endpoint(Struct, frozen=True):
    """Where a gateway listens: a base URL, and the Unix socket it is reached by, if any."""

    base: str
    socket: str | None = None

    @property
    def private(self) -> bool:
        """Whether what is said there cannot be overheard: on this machine, or by TLS."""
        parts = urlsplit(self.base)
        return self.socket is not None or parts.scheme == "https" or parts.hostname in LOOPBACK


def read_url(url: str) -> Endpoint:
    """The gateway that a URL names. Raises ``BadInput``, whose text holds no password."""
    try:
        parts = urlsplit(url)
        named = parts.hostname if parts.port != 0 else None
    except ValueError as error:
        raise BadInput(
            "not a gateway URL", one_line(str(error)), "for example http://127.0.0.1:9464"
        ) from error
    if parts.username is not None or parts.password is not None:
        raise BadInput(
            "a URL with a name or a password", "they would be seen", "give a token or a token file"
        )
    if parts.query or parts.fragment or parts.scheme not in SCHEMES:
        raise BadInput(f"not a gateway URL: {url[:100]!r}", "", "for example http://127.0.0.1:9464")
    if parts.scheme == "http+unix":
        if parts.netloc or len(parts.path) < 2:
            raise BadInput(
                f"not a socket URL: {url[:100]!r}",
                "three slashes and a path",
                "for example http+unix:///run/p.sock",
            )
        return Endpoint("http://localhost", unquote(parts.path))
    if not named or parts.path not in ("", "/"):
        raise BadInput(f"not a gateway URL: {url[:100]!r}", "", "for example http://127.0.0.1:9464")
    return Endpoint(f"{parts.scheme}://{parts.netloc}")


class Remote:
    """One gateway. What a verb changed is durable when it returns."""

    def __init__(self, place: str, http: httpx2.AsyncClient, ids: IdMaker, rng: Random) -> None:
        self._place = place
        self._http: httpx2.AsyncClient | None = http
        self._ids = ids
        self._rng = rng

    async def run(self) -> None:
        """Nothing has to go on in the background."""

    async def call(self, verb: str, flags: Mapping[str, object]) -> View:
        """One verb. Cancelled, its outcome is unknown; repeated with the same id or fence, it is told."""
        return await self._request(verb, encode(flags), {}, 0.0)

    # Polling

    async def poll(self, inbox: str, wait: float, most: int, lease: float) -> View:
        """Poll under a key, so that a repeated request is given the same mail."""
        verbs.check_poll(inbox, wait, most, lease, None)
        flags: dict[str, Any] = {"inbox": inbox, "max": most, "lease": lease}
        headers = {"Idempotency-Key": id_text(self._ids.new())}
        over = anyio.current_time() + wait
        try:
            while True:
                flags["wait"] = min(LONG_POLL, max(0.0, over - anyio.current_time()))
                found = await self._request("poll", encode(flags), headers, flags["wait"])
                if found.get("messages") or anyio.current_time() >= over:
                    return found
        except anyio.get_cancelled_exc_class():
            # What is not given back in time comes back when its lease is over.
            with anyio.move_on_after(GIVE_BACK_SECONDS, shield=True), suppress(PostroomError):
                await self._give_back(flags, headers)
            raise

    async def _give_back(self, flags: dict[str, Any], headers: Mapping[str, str]) -> None:
        """Whether a cancelled poll leased anything only its key can tell: ask with it, and release that."""
        again = {**flags, "wait": 0.0, "max": 1, "lease": min(GIVE_BACK_SECONDS, flags["lease"])}
        found = await self._try("poll", encode(again), headers, 0.0)
        for message in read(found, Polled).messages:
            release = {"id": message.id, "fence": message.fence, "release": True}
            await self._try("nack", encode(release), {}, 0.0)

    # Requests

    async def _request(self, verb: str, body: bytes, headers: Mapping[str, str], wait: float) -> View:
        """One verb, in a few tries where a try had no effect or may be repeated."""
        for tried in range(1, TRIES + 1):
            try:
                return await self._try(verb, body, headers, wait)
            except PostroomError as error:
                if tried == TRIES or not _may_repeat(verb, error):
                    raise
            pause = FIRST_PAUSE * 2.0 ** (tried - 1)
            await anyio.sleep(pause * (1 + JITTER * (2 * self._rng.random() - 1)))
        raise AssertionError("unreachable: the last try answers or raises")

    async def _try(self, verb: str, body: bytes, headers: Mapping[str, str], wait: float) -> View:
        import httpx2

        http = self._http
        if http is None:
            raise closed()
        timeout = httpx2.Timeout(
            connect=CONNECT_SECONDS, write=WRITE_SECONDS, read=wait + ANSWER_SECONDS, pool=CONNECT_SECONDS
        )
        try:
            answer = await http.post(f"/v1/{verb}", content=body, headers=dict(headers), timeout=timeout)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            why = one_line(str(error)) or type(error).__name__
            raise NotReached(f"cannot reach {self._place}", why, "start it with: postroom serve") from error
        except httpx2.TransportError as error:
            why = one_line(str(error)) or type(error).__name__
            raise OutcomeUnknown(
                f"no answer from {self._place}", why, "repeat it with the same id"
            ) from error
        if answer.status_code != 200:
            raise rebuilt(answer.status_code, answer.content)
        return _decoded(answer.content)

    async def close(self) -> None:
        """Close all connections; what other tasks call from now on is refused."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()


class NotReached(StoreUnavailable):
    """Nobody listens there: the request had no effect."""


def _may_repeat(verb: str, error: PostroomError) -> bool:
    if isinstance(error, NotReached):
        return True
    if isinstance(error, OutcomeUnknown):
        return verb in SAFE
    return error.code in PASSING


_decoder = msgspec.json.Decoder(dict[str, Any])


def _decoded(content: bytes) -> View:
    try:
        return _decoder.decode(content)
    except msgspec.MsgspecError as error:
        refuse_content(error)


def check_clear(endpoint: Endpoint, secret: Secret | None, *, insecure: bool) -> None:
    """Raises ``BadInput`` for a token that would cross a network in clear text, unless that is wanted."""
    if secret is not None and not endpoint.private and not insecure:
        raise BadInput(
            f"a token in clear text to {endpoint.base}",
            "anybody between could read it",
            "use https, or insecure=True",
        )


def open_remote(endpoint: Endpoint, secret: Secret | None, ids: IdMaker, rng: Random) -> Remote:
    """A client of a gateway; nothing is said to it yet.

    Raises ``PostroomError`` where the extra ``client`` is not installed.
    """
    try:
        import httpx2
    except ModuleNotFoundError as error:
        raise PostroomError(
            "httpx2 is not installed", "the client needs it for HTTP", "run: pip install 'postroom[client]'"
        ) from error
    headers = {"Content-Type": "application/json"}
    if secret is not None:
        headers["Authorization"] = f"Bearer {secret.reveal()}"
    limits = httpx2.Limits(keepalive_expiry=IDLE_SECONDS)
    tls = endpoint.base.startswith("https:")  # without it there is nothing to verify, and nothing to load
    transport = httpx2.AsyncHTTPTransport(verify=tls, uds=endpoint.socket, limits=limits, trust_env=False)
    http = httpx2.AsyncClient(base_url=endpoint.base, headers=headers, transport=transport, trust_env=False)
    return Remote(endpoint.socket or endpoint.base, http, ids, rng)
