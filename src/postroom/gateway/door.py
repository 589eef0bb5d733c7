"""Who may come in: the right Host, a known Origin, and a token or a place that needs none."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from msgspec import Struct

from ..mailbox.outputs import SendFlags
from ..store.looking import look
from ..store.port import Store
from ..telemetry.http import LOCAL_NAMES
from .tokens import Forbidden, Token, Unauthorized, authenticate
from .wire import Head

SOCKET_NAMES = ("localhost", "postroom")


class Caller(Struct, frozen=True):
    """Who makes a request: the holder of a token, or somebody whom the listener trusts without one."""

    token: Token | None

    @property
    def id(self) -> str:
        """What keeps the keys of different callers apart."""
        return "-" if self.token is None else self.token.id

    def check_verb(self, verb: str) -> None:
        """Raises ``Forbidden`` if the token is not for this verb."""
        if self.token is not None and not self.token.may(verb):
            raise self._beyond(f"the verb {verb}", f"--verb {verb}")

    def check_inbox(self, inbox: str) -> None:
        """Raises ``Forbidden`` if the token does not act for this inbox."""
        if self.token is not None and not self.token.acts_for(inbox):
            raise self._beyond(inbox, "--inbox PATTERN")

    def check_settling(self, recipient: str) -> None:
        """Raises ``Forbidden`` if the token may not settle mail of this recipient."""
        if self.token is not None and not self.token.settles(recipient):
            raise self._beyond(f"mail of {recipient}", "--inbox PATTERN")

    def check_send(self, flags: SendFlags) -> None:
        """Raises ``Forbidden`` if the token may not send there, or not in that name."""
        if self.token is None:
            return
        if not self.token.reaches(flags.to):
            raise self._beyond(flags.to, "--inbox or --to PATTERN")
        if flags.reply_to is not None and not self.token.reaches(flags.reply_to):
            raise self._beyond(f"replies to {flags.reply_to}", "--inbox or --to PATTERN")
        if flags.sender is not None and not self.token.acts_for(flags.sender):
            raise self._beyond(f"the name of {flags.sender}", "--inbox PATTERN")

    @property
    def everywhere(self) -> bool:
        """Whether no inbox is closed to this caller."""
        return self.token is None or "*" in self.token.inboxes

    def _beyond(self, what: str, flag: str) -> Forbidden:
        name = "" if self.token is None else self.token.name
        return Forbidden(
            f"{what[:200]} is beyond the token", f"{name} was not made for it", f"use one made with {flag}"
        )


class Door(Struct, frozen=True):
    """What one listener asks of its callers.

    ``hosts`` are the only values of Host, ``origins`` the only ones of Origin. ``open`` lets in callers
    without a token, ``public`` wants one for metrics too.
    """

    hosts: frozenset[str]
    origins: frozenset[str] = frozenset()
    open: bool = False
    public: bool = False

    def check(self, head: Head) -> None:
        """Raises ``Forbidden`` for a Host or an Origin that is not listed, as any web page can cause."""
        hosts = head.all(b"host")
        if len(hosts) != 1 or hosts[0].decode("latin-1").lower() not in self.hosts:
            raise Forbidden(
                "the Host header does not name this listener",
                "only exact names are served, against rebinding attacks",
                "use the address that postroom printed",
            )
        if any(origin.decode("latin-1") not in self.origins for origin in head.all(b"origin")):
            raise Forbidden(
                "the request comes from a web page",
                "its Origin is not listed",
                "allow it with --allow-origin",
            )

    async def admit(self, store: Store, head: Head) -> Caller:
        """The caller behind a request. A token that is given must be right, even where none is needed.

        Raises ``Unauthorized``. The token's record is read anew.
        """
        given = head.all(b"authorization")
        if not given:
            if self.open:
                return Caller(None)
            raise Unauthorized(
                "no token",
                "the gateway needs one",
                "send Authorization: Bearer; see: postroom token create --help",
            )
        scheme, _, text = given[0].decode("latin-1").partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            raise Unauthorized(
                "no bearer token", "nothing else is taken", "send one Authorization: Bearer header"
            )
        return Caller(await look(store, partial(authenticate, store, text.strip())))


def host_names(address: str, port: int, others: Iterable[str] = ()) -> frozenset[str]:
    """What Host may say to a listener on an address: its own names with the port, and ``others``."""
    bound = f"[{address}]" if ":" in address else address
    names = (*LOCAL_NAMES, bound)
    own = [f"{name}:{port}" for name in names]
    if port == 80:
        own += names
    return frozenset([*own, *(name.lower() for name in others)])


def socket_names(others: Iterable[str] = ()) -> frozenset[str]:
    """What Host may say to a listener on a Unix socket."""
    return frozenset({*SOCKET_NAMES, *(name.lower() for name in others)})
