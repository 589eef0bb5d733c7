"""Plans: what is known of those to wake, read from the store and put before the rules."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from ...mailbox import heartbeats, pairs, threads, wakes
from ...mailbox.address import SHARED, role_of, shared_inbox
from ...mailbox.heartbeats import DISPATCHER, MAIN, MANAGER, WORKER, Health
from ...mailbox.keeping import Kept
from ...mailbox.verbs import claimable, ready_in
from ...mailbox.wakes import Wake
from ...store.errors import Refused
from ...store.urls import from_anywhere
from . import rules
from .rules import Action, Facts, Reason, Status

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...store.clock import Clock, Instant
    from ...store.port import Store
    from ...store.records import Write

ROLES = (MANAGER, WORKER)

SHARES = Kept("postroom/wakes", "share", int)
"""Counts the wakes for a role's shared mail: of two that are reserved at once, the second conflicts."""


class Look(Struct, frozen=True, gc=False):
    """What one look at an address has found: what ``rules.Facts`` are made of, and whence it was read.

    ``joining_us``: how long the mail there is may still wait for more. ``shared``: all the mail there is
    lies in the role's shared inbox; ``share_version`` is then the version of the role's record in
    ``SHARES``. ``version`` is that of the record of ``wake``.
    """

    task: str
    role: str
    address: str
    mail: bool
    shared: bool
    leased: bool
    pending: bool
    joining_us: int
    awake: bool
    thread_id: str | None
    wake: Wake
    version: int
    share_version: int = 0

    @property
    def verdict(self) -> tuple[Status, Reason]:
        """What the rules say."""
        threaded = self.thread_id is not None
        joining = self.joining_us > 0
        return rules.judge(Facts(self.mail, self.leased, self.pending, joining, self.awake, threaded))

    def action(self, store_url: str) -> Action:
        """What is to be done."""
        status, reason = self.verdict
        return _action(self.task, self.role, self.address, status, reason, self.thread_id, store_url)


def _action(
    task: str,
    role: str,
    address: str,
    status: Status,
    reason: Reason,
    thread_id: str | None,
    store_url: str,
) -> Action:
    text = None if status is Status.SKIPPED else rules.prompt(task, role, address, store_url)
    return Action(role, address, status, status is Status.READY, thread_id, text, reason)


class Plan(Struct, frozen=True, gc=False):
    """What is to be done about a task's roles. ``dispatcher_required``: no dispatcher gives signs of life."""

    task: str
    actions: list[Action]
    dispatcher_required: bool

    def summary(self) -> dict[str, Any]:
        """How many actions there are of each kind."""
        of = [action.status for action in self.actions]
        return {
            "total": len(of),
            "ready": of.count(Status.READY),
            "skipped": of.count(Status.SKIPPED),
            "blocked": of.count(Status.BLOCKED),
            "dispatcher_required": self.dispatcher_required,
        }


def binding_of(store: Store, task: str) -> Binding:
    """The active binding of a task. Raises ``Refused`` for a task that has none."""
    found = pairs.find(store, task)[0]
    if found is None:
        raise Refused(f"unknown task {task[:60]}", "nobody paired it", "run: postroom pair")
    if found.state != pairs.ACTIVE:
        raise Refused(f"task {task} has ended", "nobody works on it any more", "pair it again")
    return found


def plan(store: Store, task: str) -> Plan:
    """What to do about a task now; nothing is changed. Raises ``Refused`` for an unknown task."""
    binding, url = binding_of(store, task), from_anywhere(store.url)
    actions = [look(store, task, role, pairs.address_of(binding, role)).action(url) for role in ROLES]
    return Plan(task, actions, dispatcher_required(store))


def dispatcher_required(store: Store) -> bool:
    """Whether no dispatcher has given a sign of life lately."""
    last = heartbeats.find(store, DISPATCHER, MAIN)[0]
    return heartbeats.health(store.clock, last) is not Health.HEALTHY


def look(store: Store, task: str, role: str, address: str) -> Look:
    """Look at one address as of now. Its cost does not grow with the number of bindings.

    Only where its role's shared inbox holds mail are the wakes of that role read as well.
    """
    wake, version = wakes.find(store, address)
    own = store.counts(address)
    ready = sum(map(ready_in, own))
    mail = ready > 0
    share, share_version = (0, 0) if mail else _share_of(store, address)
    last = heartbeats.find(store, role, task)[0]
    thread = threads.find(store, address)[0]
    return Look(
        task=task,
        role=role,
        address=address,
        mail=mail or share > 0,
        shared=share > 0,
        leased=any(counts.leased for counts in own) or holds_shared(store, wake),
        pending=wakes.pending(store.clock, wake),
        joining_us=wakes.joining_us(store.clock, wake, ready),
        awake=heartbeats.health(store.clock, last) is Health.HEALTHY,
        thread_id=None if thread is None else thread.thread_id,
        wake=wake,
        version=version,
        share_version=share_version,
    )


def without_pending(look: Look) -> Look:
    """The same as it would be if no wake of this address were under way."""
    return replace(look, pending=False)


def share_taken(look: Look) -> list[Write]:
    """What to write with the reservation of a wake that only shared mail justifies."""
    if not look.shared:
        return []
    return [SHARES.write(role_of(look.address), look.share_version + 1, look.share_version)]


def has_thread(store: Store, address: str) -> bool:
    """Whether there is anybody to wake behind an address."""
    return threads.find(store, address)[0] is not None


def holds_mail(store: Store, address: str, wake: Wake) -> bool:
    """Whether an address holds a live lease; ``wake`` is what is known of its waking."""
    return any(counts.leased for counts in store.counts(address)) or holds_shared(store, wake)


def _share_of(store: Store, address: str) -> tuple[int, int]:
    """How many wakes the shared inbox of this address's role justifies, besides that of the address.

    And the version of the role's record in ``SHARES``, from before the other wakes were read.
    """
    inbox = shared_inbox(address)
    ready = claimable(store, inbox) if inbox is not None else 0
    if not ready:
        return 0, 0
    version = SHARES.find(store, role_of(address))[1]
    everybody = wakes.WAKES.all(store)
    others = {one: wake for one, (wake, _) in everybody.items() if one != address}
    return rules.share(ready, _pending_by_role(store.clock, others)[role_of(address)]), version


def _pending_by_role(clock: Clock, kept: dict[str, Wake]) -> defaultdict[str, int]:
    """How many of each role are being woken."""
    found: defaultdict[str, int] = defaultdict(int)
    for address, wake in kept.items():
        if wakes.pending(clock, wake):
            found[role_of(address)] += 1
    return found


def holds_shared(store: Store, wake: Wake) -> bool:
    """Whether an address still holds any of the shared mail that it has leased."""
    return any(True for _ in wakes.still_shared(store, wake))


# All at once


def plan_all(store: Store) -> list[Plan]:
    """The plans of all active bindings, from one reading of everything; nothing is changed.

    Where several wait for the mail of one shared inbox, the first by task are woken for it.
    """
    required = dispatcher_required(store)
    act = _Everything(store).action
    return [
        Plan(one.task, [act(one.task, MANAGER, one.manager), act(one.task, WORKER, one.worker)], required)
        for one in pairs.bindings(store)
        if one.state == pairs.ACTIVE
    ]


class _Everything:
    """All that plans are made from, read at once. Kept is only what makes a difference."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._url = from_anywhere(store.url)
        self._clock = _Still(store.clock)
        self._counts = {counts.inbox: counts for counts in store.counts() if counts.ready or counts.leased}
        found = _values(store, wakes.WAKES)
        kept = ((key, wakes.WAKES.read(key, value)) for key, value in found.items())
        self._wakes = {key: wake for key, wake in kept if _matters(wake)}
        self._threads = _values(store, threads.THREADS)
        self._beats = {role: _values(store, heartbeats.FAMILIES[role]) for role in ROLES}
        self._left = self._shares()

    def _shares(self) -> dict[str, int]:
        """How many wakes each shared inbox justifies."""
        ready = {
            inbox: ready_in(counts) for inbox, counts in self._counts.items() if inbox.startswith(SHARED)
        }
        if not any(ready.values()):
            return {}
        pending = _pending_by_role(self._clock, self._wakes)
        return {inbox: rules.share(number, pending[role_of(inbox)]) for inbox, number in ready.items()}

    def action(self, task: str, role: str, address: str) -> Action:
        """What is to be done; a wake that only shared mail justifies takes one from its role's share."""
        ready, leased, pending, joining = 0, False, False, False
        counts = self._counts.get(address)
        if counts is not None:
            ready, leased = ready_in(counts), counts.leased > 0
        wake = self._wakes.get(address)
        if wake is not None:
            leased = leased or holds_shared(self._store, wake)
            pending = wakes.pending(self._clock, wake)
            joining = wakes.joining_us(self._clock, wake, ready) > 0
        mail = ready > 0
        inbox = shared_inbox(address) if self._left and not mail else None
        value = self._threads.get(address)
        thread_id = None if value is None else threads.THREADS.read(address, value).thread_id
        mail = mail or (inbox is not None and self._left.get(inbox, 0) > 0)
        facts = Facts(mail, leased, pending, joining, self._awake(role, task), thread_id is not None)
        status, reason = rules.judge(facts)
        if inbox is not None and status is Status.READY:
            self._left[inbox] -= 1
        return _action(task, role, address, status, reason, thread_id, self._url)

    def _awake(self, role: str, task: str) -> bool:
        value = self._beats[role].get(task)
        if value is None:
            return False
        last = heartbeats.FAMILIES[role].read(task, value)
        return heartbeats.health(self._clock, last) is Health.HEALTHY


def _matters(wake: Wake) -> bool:
    """Whether what is known of an address's waking makes a difference to whether it is woken."""
    return wake.state in wakes.UNDER_WAY or bool(wake.shared) or wake.join is not None


def _values(store: Store, family: Kept[Any]) -> dict[str, bytes]:
    return {record.key: record.value for record in store.records(family.owner, family.kind)}


class _Still:
    """A clock at the moment it was made, so that all of one plan is judged as of then."""

    def __init__(self, clock: Clock) -> None:
        self.boot_id = clock.boot_id
        self._now = clock.now()

    def now(self) -> Instant:
        return self._now
