"""Addresses, routes, tasks, ids, and the small things that are written as one word."""

from __future__ import annotations

import string
from collections.abc import Callable
from ipaddress import ip_address
from random import Random
from uuid import UUID

from postroom.mailbox import address, envelope
from postroom.mailbox.ids import id_text, parse_id
from postroom.store.errors import BadInput
from postroom.store.urls import store_path
from postroom.telemetry.listener import loopback, parse_listen

from . import material
from .judging import demand, taken

LOWER = frozenset(string.ascii_lowercase + string.digits + "._-")
LETTERS = LOWER | frozenset(string.ascii_uppercase)
RIGHT = (
    "worker/anna",
    "any:worker",
    "all:worker",
    "manager-of:Task-1",
    "a/b",
    "w.x_y-z/0",
    "0/.",
    "x" * 64 + "/" + "y" * 128,
)


def is_role(text: str) -> bool:
    return 0 < len(text) <= 64 and set(text) <= LOWER and text[0] not in "._-"


def is_address(text: str) -> bool:
    role, slash, name = text.partition("/")
    return bool(slash) and is_role(role) and 0 < len(name) <= 128 and set(name) <= LOWER


def is_task(text: str) -> bool:
    return 0 < len(text) <= 128 and set(text) <= LETTERS


def is_inbox(text: str) -> bool:
    return is_address(text) or (text[:4] == "any:" and is_role(text[4:]))


def is_recipient(text: str) -> bool:
    return (
        is_inbox(text)
        or (text[:4] == "all:" and is_role(text[4:]))
        or (text[:11] == "manager-of:" and is_task(text[11:]))
    )


def is_store(url: str) -> bool:
    return url.startswith("sqlite:///") and len(url) > len("sqlite:///")


def is_line(text: str) -> bool:
    return 0 < len(text) <= 256 and text.isprintable()


CHECKS: tuple[tuple[Callable[[str], str], Callable[[str], bool]], ...] = (
    (address.check_address, is_address),
    (address.check_inbox, is_inbox),
    (address.check_recipient, is_recipient),
    (address.check_task, is_task),
    (envelope.check_sender, is_inbox),
    (lambda text: envelope.check_text("key", text), is_line),
)


class Names:
    """Each check takes exactly what the rule says, as it is."""

    def attempt(self, rng: Random) -> None:
        text = material.word(rng, rng.choice(RIGHT))
        for check, rule in CHECKS:
            found = taken(lambda check=check: check(text))  # type: ignore[misc]  # it cannot infer a lambda's default
            demand(
                (found is not None) == rule(text), "taken or refused against the rule", rule.__name__, text
            )
            demand(found in (None, text), "changed", text, found)
        joined = taken(lambda: address.address_in("worker", text))
        demand(joined is None or is_address(joined), "an address that is none", text, joined)


class Ids:
    """An id is 32 hex digits, with all four hyphens or none."""

    def attempt(self, rng: Random) -> None:
        right = rng.choice(material.IDS) if rng.random() < 0.5 else str(UUID(int=rng.getrandbits(128)))
        text = material.word(rng, right)
        found = taken(lambda: parse_id(text))
        plain = text.replace("-", "") if len(text) == 36 and text.count("-") == 4 else text
        hexadecimal = len(plain) == 32 and set(plain) <= set(string.hexdigits)
        if found is None:
            demand(not hexadecimal or "-" in text, "an id was refused", text)
            return
        demand(hexadecimal and id_text(found) == str(UUID(plain)), "read as another id", text, found)


class Places:
    """Store URLs and what a listener is told: never an address that others reach."""

    def attempt(self, rng: Random) -> None:
        url = material.word(rng, "sqlite:///jobs/post.db")
        try:
            path = store_path(url)
        except BadInput:  # it repeats the URL as it is: the console makes a plain line of it
            path = None
        demand((path is not None) == is_store(url), "taken or refused against the rule", url)
        text = material.word(
            rng, rng.choice(("127.0.0.1:9464", "[::1]:0", ":1", "localhost:80", "0.0.0.0:80"))
        )
        pair = taken(lambda: parse_listen(text))
        if pair is None:
            return
        found = taken(lambda: loopback(pair[0]))
        demand(found is None or ip_address(found).is_loopback, "others reach it", text, found)
