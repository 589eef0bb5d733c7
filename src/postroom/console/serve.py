"""``postroom serve``: the store's metrics and health over HTTP, for this machine only."""

from __future__ import annotations

import signal
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TextIO

from ..mailbox.address import check_inbox
from . import render
from .desks import opened_store
from .exits import DONE
from .parsing import Parser, Subparsers, whole

if TYPE_CHECKING:
    import socket

    from ..store.port import Store


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``serve``."""
    parser = subparsers.add_parser(
        "serve",
        help="serve /metrics, /healthz and /readyz to this machine",
        description="Serves until it is interrupted; ends then with exit code 0, for nothing is"
        " left undone. Only loopback addresses are served.",
    )
    parser.add_argument("--host", metavar="ADDRESS", help="loopback address (127.0.0.1)")
    parser.add_argument(
        "--port", type=whole(0, 65535), help="port; 0 for any free one, which is printed (9464)"
    )
    parser.add_argument(
        "--inbox",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="show this inbox by name, here and in every other exporter; may be repeated",
    )
    parser.set_defaults(command=command)


def command(args: Namespace, out: TextIO) -> int:
    """Serve until SIGINT or SIGTERM. Creates the store if there is none.

    Raises ``BadInput`` for an address that others could reach and ``CannotListen`` for a port that
    is taken, both before the store is touched.
    """
    import trio

    from ..telemetry.labels import declare
    from ..telemetry.listener import listen, parse_listen

    host, port = parse_listen(args.settings.listen)
    inboxes = {check_inbox(inbox) for inbox in (*args.settings.inboxes, *args.inbox)}
    with (
        listen(
            host if args.host is None else args.host, port if args.port is None else args.port
        ) as listener,
        opened_store(args, create=True) as store,
    ):
        declare(store, inboxes)

        def announce(url: str) -> None:
            if args.json:
                render.emit(out, {"url": url, "store": store.url})
            else:
                render.lines(out, [f"{url}/metrics shows {store.url}"])

        trio.run(serve_store, store, listener, inboxes, announce)
    return DONE


async def serve_store(
    store: Store,
    listener: socket.socket,
    inboxes: Iterable[str],
    announce: Callable[[str], None],
) -> None:
    """Serve one store on an open socket until SIGINT or SIGTERM; ``announce`` gets the URL."""
    import trio

    from ..telemetry.http import metrics_app
    from ..telemetry.listener import serve_on
    from ..telemetry.metrics import Metrics

    metrics = Metrics(store, inboxes=inboxes)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(metrics.watch_loop)
            announce(await nursery.start(serve_on, listener, metrics_app(metrics)))
            await anext(signals)
            nursery.cancel_scope.cancel()
