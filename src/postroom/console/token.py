"""``postroom token create|list|revoke|rotate``: who may speak to the gateway.

A token's text is shown once, or written to a file that only its owner can read. It is nowhere else: the
store keeps a SHA-256 of its secret.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from ..mailbox.views import time_text
from ..store.errors import BadInput
from ..store.records import Put
from ..store.transact import transact_one
from . import render
from .desks import opened_store
from .exits import DONE
from .parsing import Parser, Subparsers

if TYPE_CHECKING:
    from ..gateway.tokens import Token
    from ..store.port import Store
    from ..store.records import Write

PATTERN_HELP = "an address or a route, where * stands for any part of a name; may be repeated"


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``token``."""
    token = subparsers.add_parser("token", help="make, list, revoke and rotate tokens for the gateway")
    verbs = token.add_subparsers(required=True, metavar="create|list|revoke|rotate")
    create = verbs.add_parser(
        "create",
        help="make a token; its text is shown this once",
        description="For example: postroom token create anna --inbox worker/anna --to 'manager-of:*'"
        " --verb poll --verb ack --verb nack --verb extend --verb send --file anna.token",
    )
    create.add_argument("name", metavar="NAME", help="whom or what it is for")
    create.add_argument(
        "--inbox", action="append", default=[], metavar="PATTERN",
        help="whose mail it takes, and in whose name and to whom it sends:"
        f" {PATTERN_HELP} (all; none with --to)",
    )  # fmt: skip
    create.add_argument(
        "--to", action="append", default=[], metavar="PATTERN",
        help=f"to whom it may send besides: {PATTERN_HELP} (none)",
    )  # fmt: skip
    create.add_argument(
        "--verb", action="append", default=[], metavar="V",
        help="send, poll, ack, nack, extend, heartbeat or metrics; may be repeated (all)",
    )  # fmt: skip
    create.add_argument("--expires", type=float, metavar="S", help="after S seconds (never)")
    _add_file(create)
    create.set_defaults(command=create_token)
    verbs.add_parser("list", help="all tokens, without their secrets").set_defaults(command=list_tokens)
    revoke = verbs.add_parser("revoke", help="end a token, at once and for good")
    revoke.add_argument("id", metavar="ID", help="as token list shows it")
    revoke.set_defaults(command=revoke_token)
    rotate = verbs.add_parser("rotate", help="give a token a new secret; the old one is void at once")
    rotate.add_argument("id", metavar="ID", help="as token list shows it")
    _add_file(rotate)
    rotate.set_defaults(command=rotate_token)


def _add_file(parser: Parser) -> None:
    parser.add_argument(
        "--file", metavar="PATH", help="write the text to this new file, mode 0600, in place of showing it"
    )


def create_token(args: Namespace, out: TextIO) -> int:
    """Make a token; it is durable before its text is shown."""
    from ..gateway import tokens

    with opened_store(args) as store, _new_file(args.file) as file:
        token, text, write = tokens.make(
            store, args.name, inboxes=args.inbox, to=args.to, verbs=args.verb, seconds=args.expires
        )
        file.put(text)
        _write(store, write)
        file.keep()
        return _show_new(args, out, store, token, text)


def rotate_token(args: Namespace, out: TextIO) -> int:
    """Change a token's secret; whoever uses the old one is refused from now on."""
    from ..gateway import tokens

    with opened_store(args) as store, _new_file(args.file) as file:
        token, text, write = tokens.rotate(store, args.id)
        file.put(text)
        _write(store, write)
        file.keep()
        return _show_new(args, out, store, token, text)


def revoke_token(args: Namespace, out: TextIO) -> int:
    """End a token; leases it holds lapse by themselves, as it can settle nothing any more."""
    from ..gateway import tokens

    with opened_store(args) as store:
        token, write = tokens.revoke(store, args.id)
        if write is not None:
            _write(store, write)
        view = {**_view(store, token), "already": write is None}
    if args.json:
        render.emit(out, view)
    else:
        render.lines(out, [f"{token.id} {token.name} revoked{' (it was already)' if write is None else ''}"])
    return DONE


def list_tokens(args: Namespace, out: TextIO) -> int:
    """Write all tokens; no secret is among what is stored."""
    from ..gateway import tokens

    with opened_store(args) as store:
        views = [_view(store, token) for token, _ in tokens.kept.all(store).values()]
    views.sort(key=lambda view: (view["created_at"], view["id"]))
    if args.json:
        render.emit(out, {"tokens": views})
    else:
        columns = ("id", "name", "state", "inboxes", "to", "verbs", "expires_at")
        rows = [[_cell(view[column]) for column in columns] for view in views]
        render.table(out, columns, rows)
    return DONE


def _cell(value: Any) -> Any:
    return ",".join(map(str, cast("list[object]", value))) or None if isinstance(value, list) else value


def _view(store: Store, token: Token) -> dict[str, Any]:
    """A token as it may be shown to anybody."""
    from ..gateway.tokens import state

    expires = None if token.seconds is None else token.created.wall + round(token.seconds * 1_000_000)
    return {
        "id": token.id,
        "name": token.name,
        "state": state(store, token),
        "inboxes": list(token.inboxes),
        "to": list(token.to),
        "verbs": list(token.verbs),
        "created_at": time_text(token.created.wall),
        "expires_at": time_text(expires),
    }


def _show_new(args: Namespace, out: TextIO, store: Store, token: Token, text: str) -> int:
    view = _view(store, token)
    if args.json:
        render.emit(out, view | ({"token": text} if args.file is None else {"file": args.file}))
    elif args.file is None:
        render.lines(out, [text])
    else:
        render.lines(out, [f"{token.id} {token.name} is in {args.file}"])
    return DONE


def _write(store: Store, write: Write) -> None:
    transact_one(store, Put((write,)))


class _NewFile:
    """A file for a secret, or none; removed again unless it is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._made = False

    def put(self, text: str) -> None:
        """Write the text durably to the new file. Raises ``BadInput`` if there is one already."""
        if self._path is None:
            return
        try:
            number = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            raise BadInput(f"{self._path} exists", "a secret overwrites nothing", "name a new file") from None
        self._made = True
        with os.fdopen(number, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())

    def keep(self) -> None:
        self._made = False

    def drop(self) -> None:
        """Remove what was made here and is not kept; a file that was there before is somebody else's."""
        if self._made and self._path is not None:
            self._path.unlink(missing_ok=True)


@contextmanager
def _new_file(path: str | None) -> Generator[_NewFile]:
    """A place for the text, gone again if making the token fails."""
    file = _NewFile(None if path is None else Path(path))
    try:
        yield file
    finally:
        file.drop()
