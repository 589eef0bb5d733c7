"""Making one node's store fail as planned: a wrapper of its port, generated like the port's others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from ..store.errors import OutcomeUnknown, StoreBusy, StoreUnavailable
from ..store.port import Store
from ..store.records import RenewSession
from .between import between
from .planning import Fault

Call = Callable[[], Any]

PAUSE = "pause"
BELL = "lost-bell"


class Victim(Protocol):
    """One life of a process."""

    @property
    def alive(self) -> bool: ...

    def kill(self, *, seen: bool, down: float) -> None: ...


class Met(NamedTuple):
    """A call that a fault has met."""

    store: Store
    victim: Victim
    fault: Fault
    name: str
    call: Call


class _Armed:
    """A fault that waits for its calls."""

    __slots__ = ("fault", "left", "until")

    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self.left = fault.times
        self.until = None if fault.seconds is None else now + fault.seconds

    def lasts(self, now: float) -> bool:
        return self.left != 0 and (self.until is None or now < self.until)

    def meets(self, name: str, args: Sequence[Any]) -> bool:
        """Whether this call is one that it is about."""
        if self.fault.kind == "lost-renewal":
            return name == "apply" and any(type(one) is RenewSession for one in args[0])
        return name == self.fault.method


class Trouble:
    """What is armed against one node, over all of its lives.

    ``now`` is virtual time in seconds; ``fired`` is told of every fault that has met something, with
    the name of the operation it met. Until ``paused_until`` the process stands still.
    """

    def __init__(self, now: Callable[[], float], fired: Callable[[Fault, str], None]) -> None:
        self._now = now
        self._fired = fired
        self._armed: list[_Armed] = []
        self.paused_until = 0.0

    def arm(self, fault: Fault) -> None:
        """Let a fault wait for its calls from now on."""
        if fault.kind == PAUSE:
            self.paused_until = max(self.paused_until, self._now() + (fault.seconds or 0.0))
            self._fired(fault, "commit_delay")
            return
        self._armed.append(_Armed(fault, self._now()))

    def lift(self) -> None:
        """Nothing fails any more. A process that stands still goes on when it was to."""
        self._armed.clear()

    def wrap(self, store: Store, victim: Victim) -> Store:
        """The store as one life of this node has it."""
        return between(store, lambda name, call, args, _: self._around(store, victim, name, call, args))

    def _around(self, store: Store, victim: Victim, name: str, call: Call, args: tuple[Any, ...]) -> Any:
        if not victim.alive:
            return call()
        if name == "commit_delay":
            return max(call(), self.paused_until - self._now())
        armed = self._next(name, args)
        if armed is None:
            return call()
        fault = armed.fault
        if fault.kind == BELL:
            return self._lose(fault, call)
        if armed.left is not None:
            armed.left -= 1
        self._fired(fault, name)
        return FAILURES[fault.kind](Met(store, victim, fault, name, call))

    def _next(self, name: str, args: Sequence[Any]) -> _Armed | None:
        if not self._armed:
            return None
        now = self._now()
        self._armed = [armed for armed in self._armed if armed.lasts(now)]
        return next((armed for armed in self._armed if armed.meets(name, args)), None)

    def _lose(self, fault: Fault, call: Call) -> bool:
        """A bell that is not heard. It counts only if it rang."""
        if call():
            self._fired(fault, "changed_elsewhere")
        return False


def _refuse(met: Met) -> Any:
    raise _away(met.name)


def _busy(met: Met) -> Any:
    raise StoreBusy("the store is busy", "the simulation says so", "try again")


def _lose_commit(met: Met) -> Any:
    raise _unknown("it was not kept")


def _keep_commit(met: Met) -> Any:
    met.call()
    raise _unknown("it was kept")


def _fail_after(met: Met) -> Any:
    """It was done, and its answer is an error. A ``begin`` that fails has let go of the lock."""
    met.call()
    if met.name == "begin":
        met.store.rollback()
    if met.name == "commit":
        raise _unknown("it was kept")
    raise _away(met.name)


def _die(met: Met) -> Any:
    met.victim.kill(seen=met.fault.seen, down=met.fault.amount)
    raise _unknown("its process died before it")


def _do_and_die(met: Met) -> Any:
    met.call()
    met.victim.kill(seen=met.fault.seen, down=met.fault.amount)
    raise _unknown("its process died after it")


FAILURES: dict[str, Callable[[Met], Any]] = {
    "refuse": _refuse,
    "busy": _busy,
    "unknown-kept": _keep_commit,
    "unknown-lost": _lose_commit,
    "fail-after": _fail_after,
    "lost-renewal": _refuse,
    "crash-before-commit": _die,
    "crash-after-commit": _do_and_die,
}
"""What each kind of fault does to a call that it meets."""


def _away(name: str) -> StoreUnavailable:
    return StoreUnavailable("the store does not answer", f"{name} fails in this simulation", "try again")


def _unknown(why: str) -> OutcomeUnknown:
    return OutcomeUnknown("the commit failed", f"in this simulation {why}", "repeat it with the same id")
