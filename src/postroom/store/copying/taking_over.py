"""What both kinds of store have in common when they are copied: being sound, and being let go by all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PostroomError, Refused
from ..rules import sending, timekeeping

if TYPE_CHECKING:
    from ..records import Verification
    from ..rules.tx import Tx


def checked(found: Verification, store: str) -> None:
    """Refuse a store that is not sound: its faults would be carried along. Raises ``Refused``."""
    if not found.ok:
        raise Refused(f"{store} is not sound", found.faults[0], "look with: postroom verify --deep")


def sound(found: Verification) -> int:
    """How many messages a new store has accepted. Raises ``PostroomError`` if it has faults."""
    if not found.ok:
        raise not_the_same(found.faults[0])
    return found.accepted


def not_the_same(why: str) -> PostroomError:
    """What is said of a copy that must not be used."""
    return PostroomError(
        "the copy is not what was copied",
        why,
        "nothing was kept: do it again, and report this if it comes back",
    )


def cannot_keep(what: str, why: str) -> Refused:
    """What is said of rows that the other side does not take."""
    return Refused(f"the {what} cannot be copied", why, "nothing was kept: report this")


def nobody_holds(tx: Tx) -> None:
    """Take all leases back, each with its attempt, and write what comes of that."""
    timekeeping.forget_holders(tx)
    sending.send_bounces(tx)
    tx.close()
