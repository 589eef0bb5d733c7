"""Orders to a run from any process: whoever plays it obeys; if nobody does, its manager notes them here."""

from __future__ import annotations

from functools import partial
from typing import Any

import trio
from attrs import frozen

from ...mailbox.ids import id_text
from ...store.errors import BadInput, Conflict, NoAnswer, PostroomError, Refused
from ..system import System
from .living import player_of
from .manager import Manager
from .names import manager_of
from .playing import wall_of

ANSWER_SECONDS = 10.0
"""How long whoever plays a run may take to answer."""

ERRORS: dict[str, type[PostroomError]] = {kind.code: kind for kind in (BadInput, Conflict)}
"""What a refusal is raised as, by its code; any other is a plain ``Refused``."""


@frozen
class Obedience:
    """What came of an order: the tasks that it was about, and whether some process plays the run.

    ``reopened`` says that the convoy was over and is not any more.
    """

    tasks: tuple[str, ...]
    played: bool
    reopened: bool = False


async def give(office: System, run: str, order: object, *, seconds: float = ANSWER_SECONDS) -> Obedience:
    """Give an order to a run that was entered; what it leads to is durable when this returns.

    Where nobody plays the run, nothing is started: it is left interrupted, and goes on once it is
    resumed. Raises ``BadInput``, ``Conflict`` and ``Refused`` as the order is refused, and
    ``NoAnswer`` if whoever plays the run keeps silent; an order that nobody has begun to look at is
    taken back then. Cancelled, it may have been given.
    """
    manager = manager_of(run)
    noting = partial(Manager, _nothing, partial(wall_of, office.store), _nothing, plays=False)
    await office.start(manager, noting)
    try:
        answer = await _ask(office, manager, order, seconds)
        played = await office.look(player_of, office.store, run) not in ("", office.name)
    finally:
        with trio.CancelScope(shield=True):
            await office.stop(manager)
    if "code" in answer:
        kind = ERRORS.get(answer["code"], Refused)
        raise kind(answer["what"], answer["why"], answer["do"])
    return Obedience(tuple(answer.get("tasks", ())), played, bool(answer.get("reopened")))


async def _ask(office: System, manager: str, order: object, seconds: float) -> dict[str, Any]:
    id = id_text(office.ids.new())
    try:
        answer: dict[str, Any] = await office.ask(manager, order, timeout=seconds, id=id)
    except trio.TooSlowError:
        what = f"{manager} has not answered for {seconds:g} s"
        try:
            await office.cancel(id)
        except Conflict as error:
            raise NoAnswer(what, "it has begun to look at it", "see: postroom status RUN") from error
        why = "who plays the run hangs; nothing was changed"
        raise NoAnswer(what, why, "look at that process, and say it again") from None
    return answer


def _nothing(*_: object) -> None:
    return None
