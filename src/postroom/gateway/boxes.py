"""What asking needs beside the verbs: an inbox for answers, and a look at what became of a question.

Only inboxes of the role ``client`` can be made and ended here, so nobody can make up another participant.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from ..mailbox import codec, views
from ..mailbox.address import check_address, role_of
from ..mailbox.ids import parse_id
from ..mailbox.verbs import message_of
from ..store.commit import GroupCommit
from ..store.errors import BadInput
from ..store.looking import look
from ..store.port import Store
from ..store.records import Changed, Control, InboxSpec, Operation, Register, Switch
from .door import Caller
from .tokens import Forbidden
from .wire import Answer

ROLE = "client"
Flags = dict[str, Any]
T = TypeVar("T")


class BoxFlags(Struct, forbid_unknown_fields=True):
    """An inbox to make or to end."""

    inbox: str


class ShowFlags(Struct, forbid_unknown_fields=True):
    """A message to look at."""

    id: str


class Boxes:
    """``register``, ``deregister`` and ``show``; each change is durable when it is answered."""

    def __init__(self, store: Store, commit: GroupCommit) -> None:
        self._store = store
        self._commit = commit
        self.table: dict[str, Callable[[Caller, Flags], Awaitable[Answer]]] = {
            "register": self.register,
            "deregister": self.deregister,
            "show": self.show,
        }

    async def register(self, caller: Caller, flags: Flags) -> Answer:
        """Make an inbox for answers exist."""
        inbox = self._own(caller, flags)
        return _answer({"inbox": inbox, "registered": await self._count(Register((InboxSpec(inbox),)))})

    async def deregister(self, caller: Caller, flags: Flags) -> Answer:
        """End an inbox for answers; what comes later bounces."""
        inbox = self._own(caller, flags)
        return _answer({"inbox": inbox, "ended": await self._count(Control(inbox, Switch.END))})

    async def show(self, caller: Caller, flags: Flags) -> Answer:
        """A message that the caller may take, has sent, or waits for the answer to."""
        id = parse_id(_read(ShowFlags, flags, "show").id)
        found = await look(self._store, partial(message_of, self._store, id))
        if not _concerns(caller, (found.recipient, found.sender, found.reply_to)):
            raise Forbidden(
                "this message is beyond the token", "it is none of its inboxes'", "use another token"
            )
        return _answer(views.message_view(found))

    def _own(self, caller: Caller, flags: Flags) -> str:
        inbox = check_address(_read(BoxFlags, flags, "register").inbox)
        if role_of(inbox) != ROLE:
            raise Forbidden(f"{inbox} is no inbox for answers", f"only {ROLE}/NAME is", "run: postroom pair")
        caller.check_inbox(inbox)
        return inbox

    async def _count(self, operation: Operation) -> int:
        answer = await self._commit.submit(operation)
        assert isinstance(answer, Changed), f"answered by {answer!r}"
        return answer.count


def _concerns(caller: Caller, addresses: tuple[str | None, ...]) -> bool:
    token = caller.token
    return token is None or any(each is not None and token.settles(each) for each in addresses)


def _read(kind: type[T], flags: Flags, verb: str) -> T:
    try:
        return msgspec.convert(flags, kind)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"not what {verb} takes", codec.one_line(str(error)), f"see what {verb} needs"
        ) from error


def _answer(view: views.View) -> Answer:
    return Answer(200, msgspec.json.encode(view))
