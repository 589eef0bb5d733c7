"""The two sides of a binding: what lies before each of them, and what each should do next.

What is claimable is what ``store.counts`` says is ready in an inbox that is not paused; nothing here
has an opinion of its own on that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ...mailbox import pairs, wakes
from ...mailbox.address import shared_inbox
from ...mailbox.ids import id_text
from ...mailbox.verbs import claimable, ready_in
from ...store import states

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...store.port import Store
    from ...store.records import StoredMessage

SHOWN = 5
"""How many held messages are named one by one."""

HEARTBEAT_SECONDS = 120
LIVE = tuple(state.word for state in states.LIVE)


class Side(Struct, frozen=True):
    """What lies before one side: own claimable mail, what its role shares, and the leases it holds."""

    role: str
    address: str
    mail: int
    shared: int
    leased: int
    waiting: int
    paused: bool
    gone: bool
    held: tuple[StoredMessage, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether there is anything to do now."""
        return bool(self.mail or self.shared or self.leased)


def side_of(store: Store, binding: Binding, role: str) -> Side:
    """One side as of now. ``waiting`` is mail that is delayed or held."""
    address = pairs.address_of(binding, role)
    mail = leased = waiting = 0
    paused, gone = False, True
    for counts in store.counts(address):
        paused, gone = counts.paused, counts.ended
        mail = ready_in(counts)
        leased, waiting = counts.leased, counts.delayed + counts.held
    held = tuple(store.peek(address, SHOWN, state="leased")) if leased else ()
    held = tuple(message for message in held if message.state == "leased")
    taken, inbox = shared_leases(store, address), shared_inbox(address)
    shared = 0 if inbox is None else claimable(store, inbox)
    return Side(
        role, address, mail, shared, leased + len(taken), waiting, paused, gone,
        (*held, *taken)[:SHOWN],
    )  # fmt: skip


def shared_leases(store: Store, address: str) -> list[StoredMessage]:
    """The messages of its role's shared inbox that an address holds now."""
    return list(wakes.still_shared(store, wakes.find(store, address)[0]))


def poll_command(address: str, at: str = "") -> str:
    """How a side takes its mail; ``at`` are options that go with every command."""
    return f"postroom poll{at} {address} --wait 30"


def next_commands(task: str, side: Side, at: str = "") -> list[str]:
    """What this side should run now, ready to paste; ``at`` are options that go with every command.

    What it holds comes first, then its mail; with neither it sleeps and looks again, as long as it
    is awake at all.
    """
    commands: list[str] = []
    for message in side.held:
        fence = f"{id_text(message.id)} --fence {message.fence}"
        commands += [f"postroom ack{at} {fence}", f"postroom extend{at} {fence}"]
    if not commands and (side.mail or side.shared):
        commands.append(poll_command(side.address, at))
    if not commands:
        commands.append(f"sleep {HEARTBEAT_SECONDS}")
    return [*commands, f"postroom heartbeat{at} {task} --role {side.role}"]
