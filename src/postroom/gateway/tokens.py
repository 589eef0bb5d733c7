"""Bearer tokens: who may use which verbs on which inboxes. Nothing of a secret is kept but its SHA-256.

A token reads ``postroom_ID_SECRET``. The id is the key of its record, so finding one costs the same
however many there are, and a wrong one leaves nothing behind.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ..mailbox.address import role_of
from ..mailbox.envelope import LONGEST, micros
from ..mailbox.keeping import Kept
from ..mailbox.moments import Moment, age_us, moment
from ..store.errors import BadInput, Conflict, Refused

if TYPE_CHECKING:
    from ..store.port import Store
    from ..store.records import Write

VERBS = ("send", "poll", "ack", "nack", "extend", "heartbeat", "metrics")
"""What a token can be for; ``metrics`` is needed only where others than this machine can ask."""

SECRET_BYTES = 32
ID_BYTES = 8
EVERYTHING = "*"

_form = re.compile(r"postroom_([0-9a-f]{16})_([A-Za-z0-9_-]{43})").fullmatch
_name = re.compile(r"[a-z0-9._-]{1,128}").fullmatch
_pattern = re.compile(r"(?:any:|all:|manager-of:|[a-z0-9._*-]{1,64}/)[A-Za-z0-9._*-]{1,128}").fullmatch


class Unauthorized(Refused):
    """There is no token, or it is none of ours, or it is not valid any more."""

    code = "unauthorized"


class Forbidden(Refused):
    """The request is understood, and this caller may not make it."""

    code = "forbidden"


class Token(Struct, frozen=True):
    """A token as it is kept; all but ``digest`` may be shown.

    ``inboxes`` are patterns of the inboxes it acts for: it polls there, settles mail from there, and
    sends to there and in their name. ``to`` are those it may only send to. ``seconds`` is how long it
    is valid from ``created`` on; None for ever.
    """

    id: str
    name: str
    digest: str
    inboxes: tuple[str, ...]
    to: tuple[str, ...]
    verbs: tuple[str, ...]
    created: Moment
    seconds: float | None = None
    revoked: Moment | None = None

    def may(self, verb: str) -> bool:
        """Whether it is for this verb."""
        return verb in self.verbs

    def acts_for(self, inbox: str) -> bool:
        """Whether it may take mail from this inbox, and send in its name."""
        return _matches(self.inboxes, inbox)

    def reaches(self, recipient: str) -> bool:
        """Whether it may send to this address or route."""
        return _matches(self.inboxes, recipient) or _matches(self.to, recipient)

    def settles(self, recipient: str) -> bool:
        """Whether it may settle mail of this recipient: also what a member got from its role's inbox."""
        if self.acts_for(recipient):
            return True
        return recipient.startswith("any:") and any(
            _regex(pattern.partition("/")[0]).fullmatch(role_of(recipient))
            for pattern in self.inboxes
            if "/" in pattern
        )


kept = Kept("postroom/tokens", "token", Token)


def _matches(patterns: Collection[str], address: str) -> bool:
    return any(pattern == EVERYTHING or _regex(pattern).fullmatch(address) for pattern in patterns)


@lru_cache(256)
def _regex(pattern: str) -> re.Pattern[str]:
    """``*`` stands for any part of a role or a name, never for the slash or colon between them."""
    return re.compile("[^/:]*".join(map(re.escape, pattern.split("*"))))


# Making


def make(
    store: Store,
    name: str,
    *,
    inboxes: Sequence[str] = (),
    to: Sequence[str] = (),
    verbs: Sequence[str] = (),
    seconds: float | None = None,
) -> tuple[Token, str, Write]:
    """A new token, its text, and what to write for it; the text cannot be had again.

    Without ``inboxes`` it is for all, or for none if ``to`` is given; without ``verbs`` for all verbs.
    Raises ``BadInput``.
    """
    if not _name(name):
        raise BadInput(
            f"not a token name: {name[:60]!r}",
            "lower-case letters, digits and . _ - are taken",
            "choose another",
        )
    if seconds is not None:
        micros("expires", seconds, 0.001, LONGEST)
    for pattern in (*inboxes, *to):
        _check_pattern(pattern)
    for verb in verbs:
        if verb not in VERBS:
            raise BadInput(f"no verb {verb[:60]!r}", f"there are {', '.join(VERBS)}", "take one of them")
    id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    token = Token(
        id,
        name,
        _digest(secret),
        tuple(inboxes) or (() if to else (EVERYTHING,)),
        tuple(to),
        tuple(verbs) or VERBS,
        moment(store.clock),
        seconds,
    )
    return token, _text(id, secret), kept.write(id, token, 0)


def revoke(store: Store, id: str) -> tuple[Token, Write | None]:
    """The revoked token and what to write; nothing if it was revoked before. Raises ``Refused``."""
    token, version = _present(store, id)
    if token.revoked is not None:
        return token, None
    ended = replace(token, revoked=moment(store.clock))
    return ended, kept.write(id, ended, version)


def rotate(store: Store, id: str) -> tuple[Token, str, Write]:
    """The token with another secret, its new text, and what to write; the old text is void with it.

    Its time starts again. Raises ``Refused`` for an unknown one, ``Conflict`` for one that is revoked.
    """
    token, version = _present(store, id)
    if token.revoked is not None:
        raise Conflict(f"token {id} is revoked", "what was revoked stays so", "run: postroom token create")
    secret = secrets.token_urlsafe(SECRET_BYTES)
    fresh = replace(token, digest=_digest(secret), created=moment(store.clock))
    return fresh, _text(id, secret), kept.write(id, fresh, version)


def _present(store: Store, id: str) -> tuple[Token, int]:
    token, version = kept.find(store, id)
    if token is None:
        raise Refused(f"no token {id[:60]!r}", "nobody made it", "see: postroom token list")
    return token, version


def _check_pattern(pattern: str) -> None:
    if pattern != EVERYTHING and not _pattern(pattern):
        raise BadInput(
            f"not an inbox pattern: {pattern[:60]!r}",
            "it is an address or a route, where * stands for any part of a name",
            "for example worker/* or any:worker",
        )


def _text(id: str, secret: str) -> str:
    return f"postroom_{id}_{secret}"


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


# Checking

_NOBODY = _digest("")


def authenticate(store: Store, text: str) -> Token:
    """The valid token that this is. Raises ``Unauthorized``; remembers nothing.

    The record is read each time, so that a revocation is felt by the next request.
    """
    form = _form(text)
    if form is None:
        raise _unknown()
    token, _ = kept.find(store, form[1])
    genuine = hmac.compare_digest(_digest(form[2]), _NOBODY if token is None else token.digest)
    if token is None or not genuine:
        raise _unknown()
    if token.revoked is not None:
        raise Unauthorized("the token is revoked", "somebody ended it", "ask for another")
    if expired(store, token):
        raise Unauthorized("the token has expired", f"it was made for {token.seconds:g} s", "ask for another")
    return token


def _unknown() -> Unauthorized:
    return Unauthorized("no such token", "it is none of this store's", "make one with: postroom token create")


def expired(store: Store, token: Token) -> bool:
    """Whether its time is over."""
    return token.seconds is not None and age_us(store.clock, token.created) >= token.seconds * 1_000_000


def state(store: Store, token: Token) -> str:
    """``active``, ``expired`` or ``revoked``."""
    if token.revoked is not None:
        return "revoked"
    return "expired" if expired(store, token) else "active"


def any_active(store: Store) -> bool:
    """Whether there is a token that would be let in."""
    return any(state(store, token) == "active" for token, _ in kept.all(store).values())
