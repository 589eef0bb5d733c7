"""The one listener of a process: its own socket, served in whatever nursery it is started in."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
from functools import partial
from typing import Any, cast

import trio
from anycorn import Config
from anycorn import serve as serve_asgi  # pyright: ignore[reportUnknownVariableType]
from starlette.types import ASGIApp, Receive, Scope, Send

from ..store.errors import BadInput, PostroomError

HOST = "127.0.0.1"
PORT = 9464
BACKLOG = 100

log = logging.getLogger("postroom.http")


class CannotListen(PostroomError):
    """The address is taken, forbidden or not of this machine. Nothing was opened."""

    code = "cannot_listen"


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[::1]:PORT`` or ``:PORT``. Raises ``BadInput``."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        raise BadInput(f"{text!r} is no HOST:PORT", "both are needed", f"use {HOST}:{PORT}")
    return host or HOST, int(port)


def loopback(host: str) -> str:
    """The loopback address that ``host`` means.

    Raises ``BadInput`` for every other address: until there are tokens, whoever reaches the
    listener may read it, so only this machine may.
    """
    address = numeric(host)
    if not is_loopback(address):
        raise BadInput(
            f"will not listen on {host}",
            "it can be reached from other machines and there are no tokens to tell them apart",
            f"listen on {HOST} and put a proxy or a tunnel before it",
        )
    return address


def numeric(host: str) -> str:
    """Any address of this machine, in numbers. Raises ``BadInput`` for what is none."""
    address = HOST if host == "localhost" else host.strip("[]")
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise BadInput(
            f"{host!r} is no address", "a numeric address or localhost is needed", f"use {HOST}"
        ) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. Raises ``BadInput`` for what is none."""
    return ipaddress.ip_address(numeric(host)).is_loopback


def listen(host: str, port: int, *, public: bool = False, backlog: int = BACKLOG) -> socket.socket:
    """A listening socket on a loopback address, or with ``public`` on any; port 0 lets the system choose.

    Raises ``BadInput`` for another address, ``CannotListen`` if the system refuses.
    """
    address = numeric(host) if public else loopback(host)
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"cannot listen on {address}:{port}",
            os.strerror(error.errno or errno.EIO).lower(),
            "stop what uses it, or choose another with --port (0 for any)",
        ) from error
    except OverflowError:
        listener.close()
        raise BadInput(f"{port} is no port", "ports are 0 to 65535", f"use {PORT}") from None
    return listener


class RequestsOnly:
    """Keeps the lifespan protocol from an application that has nothing to start or stop.

    Starlette reports being cancelled as a failed shutdown, which the server would then raise
    instead; here cancellation just passes through.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})


async def serve_metrics(
    app: ASGIApp,
    host: str = HOST,
    port: int = PORT,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app`` on a loopback address until cancelled.

    ``await nursery.start(serve_metrics, app, host, port)`` returns the real URL once it answers.
    Raises ``BadInput`` or ``CannotListen`` before that. Cancelled, it closes its socket and drops
    the requests under way.
    """
    with listen(host, port) as listener:
        await serve_on(listener, app, task_status=task_status)


async def serve_on(
    listener: socket.socket,
    app: ASGIApp,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The same on a socket that is already open, and that stays the caller's to close."""
    address, port = listener.getsockname()[:2]
    config = Config()
    # The server closes the descriptor it is given, so it gets one of its own.
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    config.errorlog = log
    # Starlette and the server write the type of an ASGI application differently.
    serve = partial(serve_asgi, cast(Any, RequestsOnly(app)), config, mode="asgi")
    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        task_status.started(f"http://{bracketed(address)}:{port}")


def bracketed(address: str) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address
