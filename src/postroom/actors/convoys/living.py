"""Who plays a run: its manager lives once, in the session of one process."""

from __future__ import annotations

from ...store.port import Store
from ...store.process import is_gone
from .names import manager_of


def player_of(store: Store, run: str) -> str:
    """The name of the session in which the manager of a run lives; empty if it lives nowhere."""
    return players(store).get(manager_of(run), "")


def players(store: Store) -> dict[str, str]:
    """The names of sessions by the addresses that live in them.

    A session that has lapsed, or whose process is gone, has nothing living in it.
    """
    now = store.clock.now().boot
    live = {
        found.id: found.name
        for found in store.sessions()
        if found.live and found.expires > now and not is_gone(found.process)
    }
    return {term.name: live[term.session] for term in store.activations() if term.session in live}
