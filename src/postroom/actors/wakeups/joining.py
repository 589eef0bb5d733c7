"""Group join: an address waits for several messages together, such as the answers to a batch it has sent.

It is woken once for all of them, or for those there are when it has waited long enough. Who polls by
itself is given what there is at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...mailbox import pairs, wakes
from ...store.records import Put
from .planning import binding_of

if TYPE_CHECKING:
    from ...mailbox.wakes import Wake
    from ...store.port import Store


def join(store: Store, task: str, role: str, messages: int, seconds: float) -> tuple[tuple[str, Wake], Put]:
    """The address of a role and its waking from now on, and what to write for it.

    What has come before counts among the ``messages`` if nobody has taken it yet; 0 of them end the
    waiting. Raises ``Refused`` for an unknown task, ``BadInput``.
    """
    address = pairs.address_of(binding_of(store, task), role)
    wake, version = wakes.find(store, address)
    after = wakes.joined(store.clock, wake, messages, seconds)
    return (address, after), Put((wakes.write(address, after, version),))
