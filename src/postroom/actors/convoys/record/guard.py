"""What must be true of a run, looked up in its records, its file, its processes and its mail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

from attrs import frozen

from ....store.errors import BadInput
from ....store.port import Store
from ...wire import type_name
from ..ledger import Ledger, Report, Row
from ..messages import Overdue, Rested, TimeIsUp
from ..names import OPEN, RUNS, crew_of, manager_of
from ..plan import HookKind, HookPoint
from ..rules.ending import BAD
from ..rules.states import OVER, ConvoyStatus, TaskStatus, is_over
from ..work.commands import leftovers
from .facts import facts
from .ndjson import text_of
from .tally import Tally, tally_of

TIMERS = frozenset(map(type_name, (Rested, Overdue, TimeIsUp)))
"""What may lie in the inbox of a manager whose run is over: nobody waits for them any more."""

LOOKED_AT = 100
"""Messages that are looked at in one inbox."""


@frozen
class Breach:
    """Something that must be true of a run and is not. ``task`` is empty where it is about all of it."""

    rule: str
    task: str
    text: str


@frozen
class Case:
    """A run to be judged. ``path`` is its file of events; None leaves that out."""

    store: Store
    report: Report
    tally: Tally
    path: Path | None

    @property
    def over(self) -> bool:
        """Whether the run is done or failed."""
        return is_over(self.report.status)


def guard(store: Store, run: str, path: Path | None = None) -> list[Breach]:
    """Everything that is not as it must be, of a run that nobody plays at the moment; changes nothing.

    ``path`` is its ``events.ndjson``. A run that was never begun has nothing wrong.
    """
    report = Ledger(store).report(run)
    if report is None:
        return []
    try:
        case = Case(store, report, tally_of(facts(store, run)), path)
    except BadInput as error:
        return [Breach("record", "", str(error))]
    return [Breach(rule, task, text) for rule, check in RULES.items() for task, text in check(case)]


Found = Iterator[tuple[str, str]]
"""Tasks, and what is wrong with each."""


def _terminal(case: Case) -> Found:
    """A run that is over has no task that is not; one that is done has none that failed."""
    if not case.over:
        return
    done = case.report.status is ConvoyStatus.DONE
    for row in case.report.tasks:
        if row.state.status not in OVER:
            yield row.id, f"it is {row.status}, and the run is {case.report.status}"
        elif done and row.state.status in (*BAD, TaskStatus.DISPUTED):
            yield row.id, f"it is {row.status}, and the run is done"


def _needs(case: Case) -> Found:
    """A task is done only after all that it needs."""
    done = {row.id for row in case.report.tasks if row.state.status is TaskStatus.DONE}
    for row in case.report.tasks:
        if row.id in done and (lacking := [need for need in row.task.needs if need not in done]):
            yield row.id, f"it is done, and {lacking[0]}, which it needs, is not"


def _attempts(case: Case) -> Found:
    """The attempts that were counted, listed and put on record are the same."""
    for row in case.report.tasks:
        state, begun = row.state, case.tally.begun[row.id]
        listed = [attempt.n for attempt in state.tries]
        if listed != list(range(1, state.attempts + 1)):
            yield row.id, f"{state.attempts} attempts are counted and {listed} are listed"
        if begun != state.attempts:
            yield row.id, f"{state.attempts} attempts are counted and {begun} are on record"
        if state.status in OVER and any(not attempt.outcome for attempt in state.tries):
            yield row.id, "it is over, and one of its attempts is not"


def _gates(case: Case) -> Found:
    """Every gate of a task that is done has let its last attempt pass, and that is on record."""
    for row in _done(case):
        for gate in row.task.gates:
            said = case.tally.judged.get((row.id, row.attempts, gate.name), "")
            if said not in ("gate.passed", "gate.skipped"):
                yield row.id, f"gate {gate.name}: {said or 'nothing is on record'} of attempt {row.attempts}"


def _tokens(case: Case) -> Found:
    """What was spent is what the attempts and the hooks of the whole convoy have used."""
    standing, rows = case.report.standing, case.report.tasks
    spent = standing.spent
    for row in rows:
        if (used := sum(attempt.tokens for attempt in row.state.tries)) != row.state.tokens:
            yield row.id, f"{row.state.tokens} tokens are counted, and its attempts have used {used}"
    if (used := sum(row.state.tokens for row in rows) + standing.convoy_tokens) != spent.tokens:
        yield "", f"{spent.tokens} tokens are counted, and the tasks and hooks have used {used}"
    if (made := sum(row.attempts for row in rows)) != spent.turns:
        yield "", f"{spent.turns} turns are counted, and {made} attempts were made"


def _checked(case: Case) -> Found:
    """A task is done by somebody's word and, where there is something to check it, by a check."""
    passed = {(task, n) for (task, n, _), said in case.tally.judged.items() if said == "gate.passed"}
    for row in _done(case):
        state = row.state
        if not state.claimed:
            yield row.id, "it is done, and nobody has said so"
        if state.checked is False:
            yield row.id, "it is done, and a check has refuted that"
        if _has_checks(row) and (row.id, row.attempts) in passed and state.checked is None:
            yield row.id, "it is done, and nothing has checked that"


def _record(case: Case) -> Found:
    """Facts are numbered without a gap, are events of known types, and end as the run has."""
    tally, standing = case.tally, case.report.standing
    for fault in tally.faults:
        yield "", fault
    if tally.count != standing.events:
        yield "", f"{standing.events} facts are counted and {tally.count} are on record"
    ended = str(standing.status) if case.over else ""
    if tally.ended != ended:
        yield "", f"the run is {standing.status}, and on record it is {tally.ended or 'not over'}"


def _index(case: Case) -> Found:
    """A run is marked as open in the index if it is not over."""
    marked = bool(case.store.records(RUNS, OPEN, case.report.run))
    if marked == case.over:
        yield "", f"the run is {case.report.status}, and its mark in the index says otherwise"


def _file(case: Case) -> Found:
    """The file of events has a line for each fact, and no other."""
    if case.path is None:
        return
    if not case.path.is_file():
        yield "", f"there is no {case.path}"
        return
    wanted = (
        line for page in text_of(case.store, case.report.run) for line in page.splitlines(keepends=True)
    )
    with case.path.open("rb") as file:
        for number, (line, want) in enumerate(zip_longest(file, wanted), 1):
            if line != want:
                yield "", f"{case.path}:{number} is not what the store says"
                return


def _leftovers(case: Case) -> Found:
    """Nothing that a run has started goes on after it."""
    if case.over and (left := sorted(leftovers(case.report.run, case.report.standing.logs))):
        yield "", f"processes of it are left: {', '.join(map(str, left[:LOOKED_AT]))}"


def _mail(case: Case) -> Found:
    """Nobody is still to do anything for a run that is over."""
    if not case.over:
        return
    for inbox in crew_of(case.report.run):
        for counts in case.store.counts(inbox):
            if live := counts.ready + counts.leased + counts.delayed + counts.held:
                yield "", f"{live} messages are left in {inbox}"
    inbox = manager_of(case.report.run)
    left = [message for message in case.store.peek(inbox, LOOKED_AT) if message.type not in TIMERS]
    if left:
        yield "", f"{len(left)} messages are left in {inbox}, the first a {left[0].type}"


RULES: dict[str, Callable[[Case], Found]] = {
    "terminal": _terminal,
    "needs": _needs,
    "attempts": _attempts,
    "gates": _gates,
    "tokens": _tokens,
    "checked": _checked,
    "record": _record,
    "index": _index,
    "file": _file,
    "leftovers": _leftovers,
    "mail": _mail,
}
"""What must be true of a run, by the name that a breach of it has."""


def _done(case: Case) -> Iterator[Row]:
    return (row for row in case.report.tasks if row.state.status is TaskStatus.DONE)


def _has_checks(row: Row) -> bool:
    after = (hook for hook in row.task.hooks if hook.on is HookPoint.POST_TASK)
    return bool(row.task.gates) or any(hook.kind is not HookKind.REVIEW for hook in after)
