"""What is known of the waking of one address: whether a wake is under way, and how earlier ones ended.

A wake is *sent* to an app thread by somebody else's means, so nothing proves that it arrived but the
poll that follows. It ends as useful (the poll found mail), empty (it found none) or lost (no poll came
within its window). The next window after a lost one is twice as long.

An address may *join* several messages into one wake: the answers to a batch it has sent. It is then
woken when all of them are there, or when it has waited long enough for the rest.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ..store.clock import MICROS
from ..store.errors import BadInput
from ..store.states import State
from .envelope import micros
from .ids import parse_id
from .keeping import Kept
from .moments import Moment, age_us, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..store.clock import Clock
    from ..store.port import Store
    from ..store.records import StoredMessage, Write

WINDOW_SECONDS, LONGEST_WINDOW_SECONDS = 180, 3600
JOIN_SECONDS, LONGEST_JOIN_SECONDS = 300.0, 86_400.0
MOST_JOINED = 1000
LEASED = State.LEASED.word


class WakeState(StrEnum):
    """``SENDING``: somebody is about to wake, and may have done so. ``SENT``: it was done."""

    IDLE = "idle"
    SENDING = "sending"
    SENT = "sent"


UNDER_WAY = frozenset({WakeState.SENDING, WakeState.SENT})


class Join(Struct, frozen=True, gc=False):
    """How many messages are still awaited together, and for how many microseconds from ``at`` on."""

    left: int
    us: int
    at: Moment


class Wake(Struct, frozen=True, omit_defaults=True, gc=False):
    """The waking of one address.

    ``at`` is when the wake under way began and ``receipt`` what it belongs to. ``streak`` is how many
    were lost in a row. The outcomes are counted for all time. ``shared`` are the messages that this
    address has leased from its role's shared inbox, as text id and fence.
    """

    state: WakeState = WakeState.IDLE
    at: Moment | None = None
    receipt: str | None = None
    thread_id: str | None = None
    streak: int = 0
    useful: int = 0
    empty: int = 0
    lost: int = 0
    blocked: int = 0
    shared: tuple[tuple[str, int], ...] = ()
    join: Join | None = None


WAKES = Kept("postroom/wakes", "wake", Wake)
ASLEEP = Wake()


def find(store: Store, address: str) -> tuple[Wake, int]:
    """The wake of an address and its record's version; an idle one and 0 if it was never woken."""
    found, version = WAKES.find(store, address)
    return ASLEEP if found is None else found, version


def write(address: str, wake: Wake, version: int) -> Write:
    """The write that puts ``wake`` in the place of what was read at ``version``."""
    return WAKES.write(address, wake, version)


def window_us(wake: Wake) -> int:
    """How long a poll may take to follow the wake, in microseconds."""
    return min(WINDOW_SECONDS << min(wake.streak, 16), LONGEST_WINDOW_SECONDS) * MICROS


def left_us(clock: Clock, wake: Wake) -> int:
    """What is left of the window of the wake under way, in microseconds; 0 if it is over, or none is."""
    if wake.at is None or wake.state not in UNDER_WAY:
        return 0
    return max(0, window_us(wake) - age_us(clock, wake.at))


def pending(clock: Clock, wake: Wake) -> bool:
    """Whether a poll may still follow the wake under way."""
    return left_us(clock, wake) > 0


def overdue(clock: Clock, wake: Wake) -> bool:
    """Whether the wake under way is lost: its window is over and nobody polled."""
    return wake.state in UNDER_WAY and not left_us(clock, wake)


def settled(clock: Clock, wake: Wake) -> Wake:
    """The same with a wake that is overdue counted as lost."""
    if not overdue(clock, wake):
        return wake
    return replace(
        wake, state=WakeState.IDLE, at=None, receipt=None, streak=wake.streak + 1, lost=wake.lost + 1
    )


def reserved(clock: Clock, wake: Wake, receipt: str, thread_id: str) -> Wake:
    """Somebody is about to wake: from here on a second one would be one too many."""
    return replace(
        settled(clock, wake),
        state=WakeState.SENDING,
        at=moment(clock),
        receipt=receipt,
        thread_id=thread_id,
    )


def sent(clock: Clock, wake: Wake, receipt: str, thread_id: str) -> Wake:
    """The thread was woken just now."""
    return replace(reserved(clock, wake, receipt, thread_id), state=WakeState.SENT)


def failed(wake: Wake) -> Wake:
    """The wake that was reserved surely had no effect."""
    return replace(wake, state=WakeState.IDLE, at=None, receipt=None)


def blocked(wake: Wake) -> Wake:
    """There was mail and no thread to wake."""
    return replace(wake, blocked=wake.blocked + 1)


def joined(clock: Clock, wake: Wake, messages: int, seconds: float = JOIN_SECONDS) -> Wake:
    """The same, to be woken for so many messages together or after so many seconds; 0 messages: for any.

    Raises ``BadInput``.
    """
    if not 0 <= messages <= MOST_JOINED:
        raise BadInput(f"{messages} messages", f"a wake joins 0 to {MOST_JOINED}", "choose another number")
    us = micros("join", seconds, 0.001, LONGEST_JOIN_SECONDS)
    return replace(wake, join=Join(messages, us, moment(clock)) if messages else None)


def joining_us(clock: Clock, wake: Wake, ready: int) -> int:
    """How long a wake may still wait for more mail than the ``ready`` there is, in microseconds."""
    if wake.join is None or ready >= wake.join.left:
        return 0
    return max(0, wake.join.us - age_us(clock, wake.join.at))


def _less(wake: Wake, found: int) -> Wake:
    """The same once so many of the messages that are awaited together were taken."""
    if wake.join is None or not found:
        return wake
    left = wake.join.left - found
    return replace(wake, join=replace(wake.join, left=left) if left > 0 else None)


def answered(wake: Wake, *, useful: bool) -> Wake:
    """The wake under way is over, as the poll that followed it was; as before if none is under way."""
    if wake.state not in UNDER_WAY:
        return wake
    counted = replace(wake, useful=wake.useful + 1) if useful else replace(wake, empty=wake.empty + 1)
    return replace(counted, state=WakeState.IDLE, at=None, receipt=None, streak=0)


def polled(wake: Wake, found: int, shared: Sequence[tuple[str, int]] = ()) -> Wake:
    """The address has polled and was given ``found`` messages, some of them from its role's ``shared`` inbox.

    A late poll too answers the wake, if nobody has counted it lost yet.
    """
    after = replace(wake, shared=(*wake.shared, *shared)[-16:]) if shared else wake
    return answered(_less(after, found), useful=found > 0)


def called_off(store: Store, address: str) -> Write | None:
    """The write after which no wake of an address is under way; None where none is. It counts for nothing."""
    wake, version = find(store, address)
    after = failed(settled(store.clock, wake))
    return None if after == wake else write(address, after, version)


def still_shared(store: Store, wake: Wake) -> Iterator[StoredMessage]:
    """The messages of its role's shared inbox that the address of a wake holds now."""
    for id, fence in wake.shared:
        message = store.message(parse_id(id))
        if message is not None and message.state == LEASED and message.fence == fence:
            yield message
