"""Workers that give no sign of life while they hold work: their manager is told, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...mailbox.codec import encode
from ...mailbox.envelope import compose
from ...store.identity import derived_id
from ...store.records import Send

if TYPE_CHECKING:
    from ...mailbox.heartbeats import Heartbeat
    from ...mailbox.pairs import Binding

TYPE = "worker_stale"
SENDER = "postroom/dispatcher"


def notice(binding: Binding, last: Heartbeat) -> Send:
    """The message to the manager. Its id derives from the heartbeat that was the last: sent again, by
    whomever, it is the same message.
    """
    millis = last.at.wall // 1000
    salt = f"{TYPE} {binding.task} {binding.worker} {last.at.wall}".encode()
    message = compose(
        id=derived_id(millis.to_bytes(6) + bytes(10), salt),
        recipient=binding.manager,
        sender=SENDER,
        type=TYPE,
        body=encode({"task": binding.task, "worker": binding.worker, "last_heartbeat_at": last.at.wall}),
        priority="high",
        correlation=binding.task,
    )
    return Send(message, bounded=False)
