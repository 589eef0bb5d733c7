"""When an input counts as handled well: taken faithfully, or refused in one plain line."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random
from types import FrameType
from typing import Protocol, TypeVar

from postroom.console.render import UNSAFE
from postroom.store.errors import BadInput

PROCESSOR_SECONDS = 10.0
"""What one input may cost. The dearest that is known takes a hundredth of it."""

LONGEST_LINE = 100_000
"""Characters of an error; some name all that is wrong with a file."""

T = TypeVar("T")


class Wrong(Exception):
    """An input was not handled well."""


class Hung(BaseException):
    """An input took more than ``PROCESSOR_SECONDS``."""


class Area(Protocol):
    """One kind of input. ``attempt`` makes one from ``rng``, hands it over, and raises ``Wrong``."""

    def attempt(self, rng: Random) -> None: ...


@contextmanager
def bounded() -> Generator[None]:
    """Raise ``Hung`` inside the block once it has used up its processor time."""
    before = signal.signal(signal.SIGVTALRM, _hang)
    signal.setitimer(signal.ITIMER_VIRTUAL, PROCESSOR_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _hang(signum: int, frame: FrameType | None) -> None:
    raise Hung


def taken(call: Callable[[], T]) -> T | None:
    """What the call answers; None if it refused as it should. Anything else it raises passes."""
    try:
        return call()
    except BadInput as error:
        check_plain(str(error))
        return None


def check_plain(line: str) -> None:
    """One line, short, and without a character that a terminal obeys or hides."""
    if found := UNSAFE.search(line):
        raise Wrong(f"an error holds {found[0]!r}: {line[:200]!r}")
    if not 0 < len(line) <= LONGEST_LINE:
        raise Wrong(f"an error of {len(line)} characters: {line[:200]!r}")


def demand(holds: bool, what: str, *seen: object) -> None:
    """Raise ``Wrong`` unless it holds."""
    if not holds:
        raise Wrong(f"{what}: {', '.join(f'{one!r:.200}' for one in seen)}")
