"""The client: the verbs of an inbox for programs on trio or asyncio, over a store URL or over HTTP.

::

    async with Client("http://127.0.0.1:9464", token_file="~/.postroom/token") as client:
        async for message in client.messages("worker/bob"):
            async with message:
                message.reply({"words": len(message.body["text"].split())})
"""

from __future__ import annotations

from ..store.errors import NoAnswer as NoAnswer
from .client import Client as Client
from .records import Alive as Alive
from .records import Delivered as Delivered
from .records import Extended as Extended
from .records import Reply as Reply
from .records import Sent as Sent
from .records import Settled as Settled
from .working import Message as Message

__all__ = [
    "Alive",
    "Client",
    "Delivered",
    "Extended",
    "Message",
    "NoAnswer",
    "Reply",
    "Sent",
    "Settled",
]
