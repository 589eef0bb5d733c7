"""The client: one class for trio and asyncio, for store URLs and HTTP."""

from __future__ import annotations

import os
from random import Random
from types import TracebackType

import anyio

from ..mailbox.address import check_address
from ..mailbox.ids import IdMaker
from ..mailbox.verbs import LEASE
from ..store.clock import SystemClock
from ..store.errors import BadInput, PostroomError
from ..store.shown import shown_url
from ..store.urls import is_store
from .asking import Questions
from .errors import closed
from .local import open_local
from .records import Reply
from .remote import Endpoint, check_clear, open_remote, read_url
from .secrets import VARIABLE, Secret, find_token
from .transport import Transport, send_flags
from .verbs import Verbs
from .working import Messages

FAREWELL_SECONDS = 5.0
"""How long leaving may take to end the inbox for answers."""


class Client(Verbs):
    """The verbs of an inbox, over a store URL or over HTTP; use it as ``async with Client(url) as client:``.

    ``sqlite:///relative.db`` and ``postgresql://HOST/DATABASE`` open the store in this process (made if it
    is missing, unless ``create`` is False); ``http://HOST:PORT``, ``https://...`` and
    ``http+unix:///path.sock`` speak to ``postroom serve`` and need the extra ``postroom[client]``. Methods,
    records and kinds of errors are the same. A client serves any number of tasks of one event loop.

    ``token`` or ``token_file`` (which nobody else may read), else ``POSTROOM_TOKEN``, goes with HTTP
    requests, in clear text beyond this machine only if ``insecure``. ``replies`` begins the name of the
    inbox for answers that ``ask`` makes. ``rng`` is for ids and pauses.

    Durable means the same everywhere: when a method returns, what it answers is committed. Entering raises
    ``BadInput`` and ``StoreUnavailable``; leaving ends the inbox for answers and closes everything.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        create: bool = True,
        insecure: bool = False,
        replies: str = "client/replies",
        rng: Random | None = None,
    ) -> None:
        self._url = url
        self._endpoint = None if is_store(url) else read_url(url)
        self._secret = _find_secret(self._endpoint, token, token_file)
        if self._endpoint is not None:
            check_clear(self._endpoint, self._secret, insecure=insecure)
        self._create = create
        self._rng = Random() if rng is None else rng
        super().__init__(IdMaker(SystemClock(), self._rng))
        self._replies = f"{check_address(replies)}-{self._ids.new().hex()}"
        self._questions: Questions | None = None

    def __repr__(self) -> str:
        return f"Client({shown_url(self._url)!r})"

    # Opening and closing

    async def __aenter__(self) -> Client:
        if self._tasks is not None:
            raise BadInput("the client is open", "it can be entered once at a time", "make another")
        transport = await self._opened()
        tasks = anyio.create_task_group()
        try:
            await tasks.__aenter__()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await transport.close()
            raise
        self._transport, self._tasks = transport, tasks
        self._questions = Questions(self, self._replies)
        tasks.start_soon(transport.run)
        return self

    async def _opened(self) -> Transport:
        if self._endpoint is None:
            return await open_local(self._url, create=self._create, rng=self._rng)
        return open_remote(self._endpoint, self._secret, self._ids, self._rng)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        assert tasks is not None, "left without having been entered"
        try:
            with anyio.move_on_after(FAREWELL_SECONDS, shield=True):
                await self._say_goodbye()
            tasks.cancel_scope.cancel()
            await tasks.__aexit__(None, None, None)
        finally:
            with anyio.CancelScope(shield=True):
                await self.transport.close()

    async def _say_goodbye(self) -> None:
        assert self._questions is not None
        try:
            await self._questions.close()
        except PostroomError:
            return  # the inbox stays behind, empty; what matters is durable already

    # Asking and working

    async def ask(
        self,
        to: str,
        type: str,
        body: object = None,
        *,
        timeout: float,
        id: str | None = None,
        sender: str | None = None,
        correlation: str | None = None,
        priority: str | None = None,
    ) -> Reply:
        """Send a question and wait up to ``timeout`` seconds for its answer, which is settled then.

        Asking again with the same ``id`` and content gives the stored answer, or goes on waiting. Raises
        ``TimeoutError``, after which the question stays where it is; ``NoAnswer`` if there can be none;
        ``Conflict`` while this client asks the same already; and what ``send`` raises.
        """
        chosen = self._id(id)
        if self._questions is None:
            raise closed()
        given = {"id": chosen, "sender": sender, "correlation": correlation or chosen, "priority": priority}
        with anyio.fail_after(timeout):
            return await self._questions.ask(send_flags(to, type, body, given))

    def messages(self, inbox: str, *, lease: float = LEASE) -> Messages:
        """A worker's loop over an inbox: ``async for message in ...: async with message: ...``.

        See ``Message`` for what its block means. The loop ends when the inbox has ended. What ``poll``
        raises ends it, too.
        """
        return Messages(self, inbox, lease)


def _find_secret(
    endpoint: Endpoint | None, token: str | None, file: str | os.PathLike[str] | None
) -> Secret | None:
    if endpoint is not None:
        return find_token(token, file, os.environ.get(VARIABLE))
    if token is not None or file is not None:
        raise BadInput("a token for a store URL", "a file asks for none", "leave it out")
    return None
