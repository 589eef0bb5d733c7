"""Making a run that fails smaller, while it still fails: fewer faults, then less to do."""

from __future__ import annotations

from collections.abc import Callable

from .options import Options

TRIES = 40
"""Runs that are spent on it at most."""


def shrink(options: Options, fails: Callable[[Options], bool]) -> Options:
    """The smallest run found that still fails; ``options`` itself if nothing can be left out.

    ``fails`` runs one and says whether it fails. Faults are left out one at a time, the last first; then
    the load is halved for as long as that helps.
    """
    tries = _Tries(fails)
    smallest = options
    for number, _ in reversed(options.armed):
        candidate = smallest.without([number])
        if tries.fails(candidate):
            smallest = candidate
    while smallest.jobs > 1:
        candidate = smallest.lighter(2)
        if not tries.fails(candidate):
            break
        smallest = candidate
    return smallest


class _Tries:
    """Counts what is left to be spent; when nothing is, nothing fails any more."""

    def __init__(self, fails: Callable[[Options], bool]) -> None:
        self._fails = fails
        self._left = TRIES

    def fails(self, options: Options) -> bool:
        if not self._left:
            return False
        self._left -= 1
        return self._fails(options)
