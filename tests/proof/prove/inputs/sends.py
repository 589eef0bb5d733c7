"""Envelopes, NDJSON of sends and the other words of the desk, on a real store.

What is accepted must lie in the store as it was given; what is refused must leave nothing there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from postroom.mailbox import codec
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.mailbox.outputs import KEYS, read_lines
from postroom.store.errors import BadInput, PostroomError, Refused
from postroom.store.records import Accepted, StoredMessage
from postroom.store.sqlite.file import FileStore, open_file

from . import material
from .judging import check_plain, demand
from .names import is_inbox, is_line, is_recipient

WORKER, MANAGER = "worker/w", "manager/m"
VERIFY_EVERY = 1000
RIGHT: Mapping[str, Any] = {
    "to": WORKER, "type": "job", "body": {"n": 1}, "from": MANAGER, "dedup_key": None, "delay": 0.0,
    "expires": 60.0,
    "priority": "normal", "correlation": "t", "reply_to": MANAGER, "max_attempts": 5, "hold": False,
}  # fmt: skip
TEXTS = ("to", "type", "from", "id", "dedup_key", "priority", "correlation", "reply_to")


class Post:
    """The store that inputs are aimed at, with a pair of inboxes."""

    def __init__(self, folder: Path) -> None:
        self.store: FileStore = open_file(folder / "inputs.db", create=True)
        self.desk = Desk(self.store, IdMaker(self.store.clock, Random(1)), nap=_no_nap)
        self.desk.pair("t", "m", "w")
        self._attempts = 0

    def close(self) -> None:
        self.store.close()

    def accepted(self) -> int:
        return sum(count.accepted for count in self.store.counts())

    def look(self) -> None:
        """Let the store prove itself now and then."""
        self._attempts += 1
        if self._attempts % VERIFY_EVERY == 0:
            found = self.store.verify()
            demand(found.ok, "the store does not verify", found)


def _no_nap(seconds: float) -> None:
    raise AssertionError(f"it waits {seconds} s for somebody")


def flags(rng: Random) -> dict[str, Any]:
    """The flags of one send, one to three of them wrong."""
    found = dict(RIGHT)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        key = rng.choice(KEYS)
        kind = rng.random()
        if kind < 0.5 and key in TEXTS:
            found[key] = material.word(rng, str(RIGHT.get(key) or "00000000-0000-4000-8000-000000000000"))
        elif kind < 0.7 and key in ("delay", "expires"):
            found[key] = material.seconds(rng)
        elif kind < 0.9 and key == "max_attempts":
            found[key] = material.whole(rng)
        elif kind < 0.95:
            found[key] = material.value(rng, 2)
        elif kind < 0.97:
            del found[rng.choice(list(found))]
        else:
            found[material.word(rng, key)] = found.get(key)
    return found


class Sends:
    """Flags of one send, as a program gives them."""

    def __init__(self, post: Post) -> None:
        self._post = post

    def attempt(self, rng: Random) -> None:
        given, before = flags(rng), self._post.accepted()
        answer = _answer(lambda: self._post.desk.send_flags(given))
        self._post.look()
        if isinstance(answer, PostroomError):
            demand(self._post.accepted() == before, "refused, and something was stored", given, answer)
            return
        message = self._post.store.message(answer.id)
        assert message is not None, f"accepted and not there: {given!r}"
        if answer.state != "duplicate":
            check_stored(given, answer, message)
        if rng.random() < 0.9:
            self._post.desk.purge(message.recipient)


def check_stored(given: Mapping[str, Any], answer: Accepted, message: StoredMessage) -> None:
    """The message is what the flags say, by rules written a second time."""
    assert is_recipient(given["to"]), given
    demand(is_line(given["type"]) and len(given["type"]) <= 128, "a type was taken", given)
    demand(is_inbox(message.sender), "a sender was taken", given)
    pairs = (
        ("type", message.type), ("dedup_key", message.dedup_key), ("correlation", message.correlation_id),
        ("reply_to", message.reply_to),
    )  # fmt: skip
    for key, stored in pairs:
        demand(given.get(key) == stored, f"{key} was changed", given.get(key), stored)
        demand(stored is None or is_line(stored), f"{key} was taken", given.get(key))
    demand(codec.decode(message.body) == given["body"], "the body was changed", given["body"], message.body)
    most = given.get("max_attempts")
    demand(message.max_attempts == (5 if most is None else most), "max_attempts was changed", given)
    demand(1 <= message.max_attempts <= 1000, "max_attempts was taken", given)


class Lines:
    """NDJSON of ``ack --send``: all of it commits with the ack, or the message stays leased."""

    def __init__(self, post: Post) -> None:
        self._post = post

    def attempt(self, rng: Random) -> None:
        desk = self._post.desk
        given = _lines(rng)
        try:
            sends = read_lines(given)
        except BadInput as error:
            check_plain(str(error))
            return
        if rng.random() < 0.7:
            return
        id = desk.send(MANAGER, "job", b"{}").id
        (delivery,) = desk.poll(MANAGER, lease=3600.0)
        before = self._post.accepted()
        answer = _answer(lambda: desk.ack(id, delivery.fence, None, sends))
        if isinstance(answer, PostroomError):
            demand(self._post.accepted() == before, "refused, and something was stored", given, answer)
            message = desk.show(id)
            demand(message.state == "leased" and message.fence == delivery.fence, "the lease is gone", given)
            desk.ack(id, delivery.fence)
        else:
            copies = sum(
                max(1, len(output.copies)) for output in answer.outputs if output.state != "duplicate"
            )
            demand(self._post.accepted() == before + copies, "outputs were lost or doubled", given)
        for inbox in (WORKER, MANAGER):
            desk.purge(inbox)
        self._post.look()


def _lines(rng: Random) -> str | bytes:
    lines: list[bytes] = []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        given = dict(RIGHT) if rng.random() < 0.6 else flags(rng)
        line = json.dumps({key: item for key, item in given.items() if item is not None}, default=str)
        lines.append(line.encode("utf-8", "surrogatepass"))
    raw = rng.choice((b"\n", b"\n", b"\r\n", b"\n\n", b"\n \n", b"\r", b"\x1e")).join(lines)
    if rng.random() < 0.5:
        raw = material.bent(rng, raw)
    return raw if rng.random() < 0.7 else raw.decode("utf-8", "surrogateescape")


class Words:
    """What else the desk is told: fences, leases, reasons, keys, names, limits."""

    def __init__(self, post: Post) -> None:
        self._post = post

    def attempt(self, rng: Random) -> None:
        desk, before = self._post.desk, self._post.accepted()
        text = material.word(rng, rng.choice(("reason", WORKER, "ready", "t")))
        number, long, id = material.whole(rng), material.seconds(rng), rng.randbytes(16)
        calls = (
            lambda: desk.nack(id, number, delay=long, reason=text),
            lambda: desk.nack(id, number, reason=text, dead=True),
            lambda: desk.extend(id, number, lease=long),
            lambda: desk.ack(id, number, sends=[{"to": text, "type": text, "body": text}]),
            lambda: desk.ack(id, number),
            lambda: desk.poll(text, max=number, lease=long),
            lambda: desk.poll(WORKER, max=number, lease=long, key=text),
            lambda: desk.pause(text),
            lambda: desk.pause(WORKER, key=text),
            lambda: desk.resume(WORKER, key=text),
            lambda: desk.resume(text, key=text),
            lambda: desk.drain(text),
            lambda: desk.peek(text, state=text),
            lambda: desk.peek(WORKER, rng.randrange(1, 100), state=text),
            lambda: desk.dead(text),
            lambda: desk.pair(text, text, text),
            lambda: desk.unpair(text),
            lambda: desk.requeue(id),
            lambda: desk.drop(id),
            lambda: desk.show(id),
        )
        answer = _answer(rng.choice(calls))
        demand(self._post.accepted() == before, "something was accepted", text, answer)
        for inbox in (WORKER, MANAGER):
            desk.resume(inbox)
        self._post.look()


def _answer(call: Any) -> Any:
    """What a verb answers, or the refusal, which has to be a plain line."""
    try:
        return call()
    except (BadInput, Refused) as error:
        check_plain(str(error))
        return error
