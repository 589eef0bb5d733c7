"""What both kinds of store have in common when they are copied: being sound, and being let go by all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Refused
from ..rules import sending, timekeeping

if TYPE_CHECKING:
    from ..records import Verification
    from ..rules.tx import Tx


def checked(found: Verification, store: str) -> None:
    """Refuse a store that is not sound: its faults would be carried along. Raises ``Refused``."""
    if not found.ok:
        raise Refused(f"{store} is not sound", found.faults[0], "look with: postroom verify --deep")


def nobody_holds(tx: Tx) -> None:
    """Take all leases back, each with its attempt, and write what comes of that."""
    timekeeping.forget_holders(tx)
    sending.send_bounces(tx)
    tx.close()
