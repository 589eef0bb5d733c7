"""Who mail can be for: ``role/name``, and routes that stand for somebody else."""

from __future__ import annotations

import re
from functools import lru_cache

from ..store.errors import BadInput

SHARED, EVERYBODY, MANAGER = "any:", "all:", "manager-of:"

_NAME = "[a-z0-9._-]{1,128}"
_ROLE = "[a-z0-9][a-z0-9._-]{0,63}"
_TASK = "[A-Za-z0-9._-]{1,128}"
REMEMBERED = 4096
"""Texts whose check is remembered: a program speaks to few recipients, and of each very often."""

_address = re.compile(f"{_ROLE}/{_NAME}").fullmatch
_task = re.compile(_TASK).fullmatch
_route = re.compile(f"{_ROLE}/{_NAME}|(?:any|all):{_ROLE}|manager-of:{_TASK}").fullmatch
_inbox = re.compile(f"{_ROLE}/{_NAME}|any:{_ROLE}").fullmatch

FORM = "an address is role/name in lower-case letters, digits, dot, underscore and hyphen"


def check_address(text: str) -> str:
    """``text`` if it is the address of one participant. Raises ``BadInput``."""
    if _address(text):
        return text
    if _route(text):
        raise BadInput(f"{text} is a route", "one participant is wanted here", "name a role/name")
    raise _bad("address", text)


@lru_cache(REMEMBERED)
def check_recipient(text: str) -> str:
    """``text`` if mail can be sent to it: an address, or ``any:ROLE``, ``all:ROLE``, ``manager-of:TASK``.

    Raises ``BadInput``.
    """
    if _route(text):
        return text
    raise _bad("recipient", text)


@lru_cache(REMEMBERED)
def check_inbox(text: str) -> str:
    """``text`` if mail can lie there: an address or ``any:ROLE``. Raises ``BadInput``."""
    if _inbox(text):
        return text
    if _route(text):
        raise BadInput(f"{text} is no inbox", "it stands for several", "name one of them")
    raise _bad("inbox", text)


def check_task(text: str) -> str:
    """``text`` if a task can be called so. Raises ``BadInput``."""
    if _task(text):
        return text
    raise BadInput(
        f"not a task name: {text[:60]!r}",
        "a task is named in letters, digits, dot, underscore and hyphen, at most 128",
        "choose another name",
    )


def address_in(role: str, name: str) -> str:
    """The address of ``name`` in ``role``; a whole address is taken as it is."""
    return check_address(name if "/" in name else f"{role}/{name}")


def role_of(text: str) -> str:
    """The role that an address or a route is about; ``manager`` for ``manager-of:TASK``."""
    kind, colon, rest = text.partition(":")
    if colon:
        return "manager" if kind == "manager-of" else rest
    return text.partition("/")[0]


def shared_inbox(address: str) -> str | None:
    """The inbox that all of the address's role claim from; None if it is that inbox itself."""
    return None if address.startswith(SHARED) else SHARED + role_of(address)


def _bad(noun: str, text: str) -> BadInput:
    lower = text.lower()
    do = f"did you mean {lower}?" if lower != text and _route(lower) else "for example worker/anna"
    return BadInput(f"not an {noun}: {text[:60]!r}".replace("an recipient", "a recipient"), FORM, do)
