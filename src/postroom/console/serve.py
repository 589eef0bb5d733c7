"""``postroom serve``: the verbs of an inbox, the store's metrics and its health over HTTP."""

from __future__ import annotations

import resource
import signal
from argparse import Namespace
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple, TextIO

from ..mailbox.address import check_inbox
from ..mailbox.verbs import LEASE
from ..store.errors import BadInput, Refused
from . import render
from .desks import opened_store
from .exits import DONE
from .parsing import Parser, Subparsers, whole
from .wakeup import waking_of

if TYPE_CHECKING:
    import socket

    from ..actors.wakeups.driving import Waking
    from ..gateway.door import Door
    from ..store.port import Store

SPARE_FILES = 256

ABOUT = """Serves until it is interrupted; ends then with exit code 0, for nothing is left undone.

/v1/send, poll, ack, nack, extend and heartbeat take POST with the command's flags as a JSON object,
and answer the command's JSON. Over TCP they need a token (postroom token create), sent as
"Authorization: Bearer TOKEN", for every program and web page of this machine can reach a port.
Over --socket they need none, as only the owner of the file can open it.

It keeps house for the store as well: mail that is due, leases that have lapsed, what is past its
retention, workers that went stale. If [wakeups] in postroom.toml names drivers, it wakes.

Beyond this machine nothing is served without a token in the store and one of --behind-tls and
--insecure; metrics then need a token too.
"""


class Entrance(NamedTuple):
    """One open listener with its door; ``url`` or ``path`` says where it is."""

    listener: socket.socket
    door: Door
    url: str | None
    path: str | None


class How(NamedTuple):
    """How a store is served: ``inboxes`` are shown by name, ``limits`` are those of connections and of
    waiting polls, ``lease`` is in seconds where a request names none. It wakes if it is told how.
    """

    inboxes: Collection[str] = ()
    limits: tuple[int, int] = (256, 2000)
    lease: float = LEASE
    waking: Waking | None = None


PLAINLY = How()


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``serve``."""
    parser = subparsers.add_parser(
        "serve", help="serve /v1, /metrics, /healthz and /readyz over HTTP", description=ABOUT
    )
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    parser.add_argument(
        "--port", type=whole(0, 65535), help="port; 0 for any free one, which is printed (9464)"
    )
    parser.add_argument(
        "--socket", metavar="PATH", help="a Unix socket, mode 0600; then TCP only with --host or --port"
    )
    parser.add_argument(
        "--no-token", action="store_true", help="let everybody on this machine in, over TCP too"
    )
    parser.add_argument(
        "--behind-tls", action="store_true", help="beyond this machine: a proxy before it speaks TLS"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="beyond this machine: whoever listens may read the tokens"
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME[:PORT]",
        help="another name of this listener, as requests say it in Host; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--allow-origin", action="append", default=[], metavar="ORIGIN",
        help="a web page's origin whose requests are taken; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--max-connections", type=whole(1, 100_000), default=256, metavar="N",
        help="besides those of waiting polls; those that are idle make room first (256)",
    )  # fmt: skip
    parser.add_argument(
        "--max-parked", type=whole(0, 100_000), default=2000, metavar="N", help="waiting polls (2000)"
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
    """Serve until SIGINT or SIGTERM. Creates the store if there is none and only this machine is served.

    Raises ``BadInput`` for options that do not fit and ``CannotListen`` for a place that is taken, both
    before the store is touched; ``Refused`` where a token is missing, before anything is opened.
    """
    import trio

    from ..telemetry.labels import declare

    waking = waking_of(args.settings.wakeups)
    inboxes = {check_inbox(inbox) for inbox in (*args.settings.inboxes, *args.inbox)}
    with _entered(args) as (entrances, store):
        declare(store, inboxes)
        _allow_files(args.max_connections + args.max_parked + SPARE_FILES)

        def announce() -> None:
            _announce(args, out, entrances, store)

        limits = args.max_connections, args.max_parked
        trio.run(serve_store, store, entrances, announce, How(inboxes, limits, args.settings.lease, waking))
    return DONE


@contextmanager
def _entered(args: Namespace) -> Generator[tuple[list[Entrance], Store]]:
    """The open listeners and the store. The store comes first only where its tokens decide."""
    from contextlib import ExitStack

    from ..telemetry.listener import parse_listen

    host, port = parse_listen(args.settings.listen)
    host, port = host if args.host is None else args.host, port if args.port is None else args.port
    tcp = args.socket is None or args.host is not None or args.port is not None
    public = tcp and _is_public(args, host)
    with ExitStack() as open_things:
        entrances: list[Entrance] = []
        if args.socket is not None:
            entrances.append(open_things.enter_context(_unix(args, Path(args.socket))))
        if tcp and not public:
            entrances.append(open_things.enter_context(_tcp(args, host, port, public=False)))
        store = open_things.enter_context(opened_store(args, create=not public))
        if public:
            _check_tokens(store, host)
            entrances.append(open_things.enter_context(_tcp(args, host, port, public=True)))
        yield entrances, store


def _is_public(args: Namespace, host: str) -> bool:
    """Whether others than this machine could reach the listener. Raises ``BadInput`` unless that is meant."""
    from ..telemetry.listener import HOST, is_loopback

    if is_loopback(host):
        return False
    if args.no_token:
        raise BadInput(
            f"no listening on {host} without tokens", "other machines can reach it", "leave --no-token out"
        )
    if not (args.behind_tls or args.insecure):
        raise BadInput(
            f"will not listen on {host}",
            "it can be reached from other machines, and tokens would travel in the clear",
            f"listen on {HOST}, or say --behind-tls or --insecure",
        )
    return True


def _check_tokens(store: Store, host: str) -> None:
    from ..gateway.tokens import any_active

    if not any_active(store):
        raise Refused(
            f"will not listen on {host}",
            "it can be reached from other machines and there is no token to tell them apart",
            "run: postroom token create NAME",
        )


@contextmanager
def _tcp(args: Namespace, host: str, port: int, *, public: bool) -> Generator[Entrance]:
    from ..gateway.door import Door, host_names
    from ..gateway.sockets import BACKLOG
    from ..telemetry.listener import bracketed, listen

    with listen(host, port, public=public, backlog=BACKLOG) as listener:
        address, port = listener.getsockname()[:2]
        hosts = host_names(address, port, args.allow_host)
        door = Door(hosts, frozenset(args.allow_origin), open=args.no_token, public=public)
        yield Entrance(listener, door, f"http://{bracketed(address)}:{port}", None)


@contextmanager
def _unix(args: Namespace, path: Path) -> Generator[Entrance]:
    from ..gateway.door import Door, socket_names
    from ..gateway.sockets import listen_unix

    with listen_unix(path) as listener:
        door = Door(socket_names(args.allow_host), frozenset(args.allow_origin), open=True)
        yield Entrance(listener, door, None, str(path))


def _allow_files(wanted: int) -> None:
    """Let the process have as many open files as it may need, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _announce(args: Namespace, out: TextIO, entrances: list[Entrance], store: Store) -> None:
    url = next((entrance.url for entrance in entrances if entrance.url), None)
    path = next((entrance.path for entrance in entrances if entrance.path), None)
    if args.json:
        render.emit(out, {"url": url, "socket": path, "store": store.url})
        return
    if url is not None:
        render.lines(out, [f"{url}/metrics shows {store.url}"])
        render.lines(out, [f"{url}/v1 takes send, poll, ack, nack, extend and heartbeat"])
    if path is not None:
        render.lines(
            out, [f"{path} is the same as a socket: curl --unix-socket {path} http://localhost/v1/..."]
        )


async def serve_store(
    store: Store, entrances: Sequence[Entrance], announce: Callable[[], None], how: How = PLAINLY
) -> None:
    """Serve one store on open listeners, and keep house for it, until SIGINT or SIGTERM.

    A second signal cuts the grace short; ``announce`` is called once all is served.
    """
    import trio

    from ..actors.wakeups.driving import Housekeeping
    from ..gateway.crowd import Crowd
    from ..gateway.serving import opened_gateway
    from ..store.process import this_process
    from ..telemetry.metrics import Metrics

    metrics = Metrics(store, inboxes=how.inboxes)
    house = partial(Housekeeping, store, process=this_process(), rng=Random(), waking=how.waking)
    doors = [(entrance.listener, entrance.door) for entrance in entrances]

    async def cut_short(scope: trio.CancelScope) -> None:
        await anext(signals)
        scope.cancel()

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(metrics.watch_loop)
            async with opened_gateway(
                store, doors, metrics, rng=Random(), crowd=Crowd(*how.limits), lease=how.lease, house=house
            ):
                announce()
                await anext(signals)
                nursery.start_soon(cut_short, nursery.cancel_scope)
            nursery.cancel_scope.cancel()
