"""Settings: a flag wins over ``POSTROOM_*``, that over ``postroom.toml``, that over the default."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ..mailbox.address import check_inbox
from ..store.errors import BadInput
from ..store.shown import shown_url
from ..store.urls import DEFAULT_URL
from .parsing import meant

FILE = "postroom.toml"
PREFIX = "POSTROOM_"

PairRole = Literal["manager", "worker"]
Template = Annotated[tuple[str, ...], Meta(min_length=1)]


class Wakeups(Struct, frozen=True, forbid_unknown_fields=True):
    """The table ``[wakeups]``: how ``wakeup drive`` wakes, by a command or a webhook for each role.

    ``autopilot`` is ``started`` for the tasks whose autopilot was started, ``all`` for those too where
    nobody stopped it. ``timeout`` and ``debounce`` are in seconds.
    """

    autopilot: Literal["started", "all"] = "started"
    command: dict[PairRole, Template] = {}
    webhook: dict[PairRole, str] = {}
    timeout: Annotated[float, Meta(ge=0.01, le=120)] = 30.0
    debounce: Annotated[float, Meta(ge=0, le=60)] = 0.5


class Settings(Struct, frozen=True):
    """What can be set once for all commands.

    ``lease`` is in seconds and meant for ``poll``; ``listen`` is HOST:PORT of metrics and health;
    ``inboxes`` are those that metrics show by name.
    """

    store: str = DEFAULT_URL
    lease: float = 60.0
    listen: str = "127.0.0.1:9464"
    inboxes: tuple[str, ...] = ()
    wakeups: Wakeups = Wakeups()


def load(
    *, store: str | None = None, environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> Settings:
    """The settings in force in a folder. Raises ``BadInput`` for a key or value that means nothing."""
    found = _from_file((folder or Path()) / FILE)
    found |= _from_environment(os.environ if environ is None else environ)
    if store is not None:
        found["store"] = whole_url(store, found.get("store"))
    try:
        settings = msgspec.convert(found, Settings, strict=False)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # a variable may be no UTF-8
        raise BadInput("a setting has a wrong value", str(error), f"look at {FILE} and {PREFIX}*") from error
    if not 0.001 <= settings.lease <= 86400:
        raise BadInput(f"lease is {settings.lease}", "it is in seconds, at most a day", "choose another")
    if "\0" in settings.store or re.search("[\ud800-\udfff]", settings.store):
        url = ascii(shown_url(settings.store))
        raise BadInput("a store URL with NUL, or not in UTF-8", url, f"use {DEFAULT_URL}")
    for inbox in settings.inboxes:
        check_inbox(inbox)
    return settings


def whole_url(store: str, known: Any) -> str:
    """The URL that is meant: one that was shown stands for the one that is known, with its password."""
    return known if isinstance(known, str) and store in (shown_url(known), known) else store


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in Settings.__struct_fields__:
        text = environ.get(PREFIX + key.upper())
        if text:  # an empty variable is the shell's way to unset one for a single command
            found[key] = text.replace(",", " ").split() if key == "inboxes" else text
    return found


def _from_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    import tomllib  # most places have no settings file

    from ..mailbox import toml

    try:
        found = toml.parse(toml.read_bytes(path).decode())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}", str(error), "repair or remove it") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML", str(error), "repair that line") from error
    for key in found:
        if key not in Settings.__struct_fields__:
            known = Settings.__struct_fields__
            raise BadInput(
                f"{path}: unknown key {key}",
                f"known are {', '.join(known)}",
                meant(key, known, "remove it"),
            )
    return found
