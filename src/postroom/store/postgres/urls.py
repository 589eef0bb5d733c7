"""What a PostgreSQL URL says: where the server is, and in which schema the store is."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..errors import BadInput, one_line
from ..shown import HIDDEN, SECRETS, SERVER_URL, is_remote, shown_url

DEFAULT_SCHEMA = "postroom"
NAME = re.compile(r"[a-z_][a-z0-9_]{0,47}")


class Place(NamedTuple):
    """Where a store is: what the driver is told, and the schema.

    ``notices`` is where doorbells are rung: the same server, reached directly. None where there are none.
    A ``portable`` store uses only what databases that speak like PostgreSQL have too.
    """

    conninfo: str
    schema: str
    prepared: bool
    notices: str | None
    portable: bool = False

    def made_portable(self) -> Place:
        """The same as a portable store, which rings no doorbells."""
        return self._replace(notices=None, portable=True)

    def name(self) -> str:
        """The same for everybody here who uses this store, however it gets its password."""
        said = conninfo_to_dict(self.conninfo)
        plain = {name: value for name, value in said.items() if not re.search(SECRETS, name)}
        return make_conninfo("", **plain) + f" {self.schema}"


def read_url(url: str) -> Place:
    """Take a URL apart. ``schema``, ``pooled``, ``notify``, ``notify_url`` and ``portable`` are postroom's.

    All else is the driver's. ``pooled=yes`` says that there is a pooler in transaction mode in between:
    then nothing is prepared, and doorbells are rung only at ``notify_url``. ``notify=off`` rings none.
    ``portable=yes`` says of which kind a new store is made; one that is there stays what it is.
    A password ``***`` is none: a URL that was shown works where ``PGPASSWORD`` or ``~/.pgpass`` says it.
    Raises ``BadInput``, which never has a password in it.
    """
    found = _parts(url)
    said = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    schema = said.pop("schema", DEFAULT_SCHEMA)
    if not NAME.fullmatch(schema):
        raise BadInput(
            f"not a schema name: {schema}", "it has letters a-z, digits and _ only", "choose another schema"
        )
    pooled = _choice(said, "pooled", ("no", "yes")) == "yes"
    silent = _choice(said, "notify", ("on", "off")) == "off"
    portable = _choice(said, "portable", ("no", "yes")) == "yes"
    notices = said.pop("notify_url", None)
    conninfo = _conninfo(url, found, said)
    if notices is not None:
        others = _parts(notices)
        notices = _conninfo(notices, others, dict(parse_qsl(others["query"] or "", keep_blank_values=True)))
    elif not pooled:
        notices = conninfo
    place = Place(conninfo, schema, not pooled, None if silent else notices)
    return place.made_portable() if portable else place


def _parts(url: str) -> re.Match[str]:
    if not is_remote(url):
        raise BadInput(
            f"not a PostgreSQL URL: {shown_url(url)}", "it must begin with postgresql://", "correct it"
        )
    found = re.fullmatch(SERVER_URL, url)
    if found is None:
        raise BadInput(
            f"not a PostgreSQL URL: {shown_url(url)}",
            "it reads postgresql://USER@HOST:PORT/DATABASE?schema=NAME, with :PASSWORD after USER",
            "write : / @ ? # in a password as %3A %2F %40 %3F %23",
        )
    return found


def _conninfo(url: str, found: re.Match[str], said: dict[str, str]) -> str:
    """What the driver is told. Passwords go to it apart: it would quote a URL that it does not understand."""
    secret = {name: said.pop(name) for name in list(said) if re.search(SECRETS, name)}
    if found["password"]:
        secret["password"] = unquote(found["password"][1:])
    secret = {name: value for name, value in secret.items() if value not in ("", HIDDEN)}
    if found["user"]:
        secret["user"] = unquote(found["user"])
    query = f"?{urlencode(said, quote_via=quote)}" if said else ""
    try:
        return make_conninfo(f"{found['scheme']}{found['place']}{query}", **secret)
    except psycopg.Error as error:
        raise BadInput(f"not a PostgreSQL URL: {shown_url(url)}", one_line(error), "correct it") from error


def _choice(said: dict[str, str], name: str, words: tuple[str, str]) -> str:
    """What a parameter says; the first word where it is not there."""
    word = said.pop(name, words[0])
    if word not in words:
        raise BadInput(f"{name}={word} says nothing", f"it is {' or '.join(words)}", "correct the URL")
    return word
