"""The reviewing of a run: it has reviewers asked, gathers their votes, and tells the manager the verdict."""

from __future__ import annotations

from ....store.clock import MICROS
from ...actor import Actor, handles
from ..messages import Bounced, Review, Reviewed, Said
from ..names import manager_of, reviewer_of
from ..plan import Route
from ..rules.attempts import SKIPPED, UNRUN
from ..rules.standing import Note
from .change import change_of, log_of, wanted_of
from .judging import Ruling, bench_of, ruled, still_wanted, verdict_of
from .saying import Opinion, of_reply
from .votes import Case, Closed, Docket, Vote, Voted, VoteOverdue, correlation, vote_of

CASE, CLOSED = "case", "closed"
"""Kinds of records, by the task: its review that is under way, and the last one that is over."""

UNASKED = {Ruling.SKIP: SKIPPED, Ruling.STOP: UNRUN}
"""The verdict where a budget lets nobody be asked."""


class Reviewing(Actor):
    """Sees to the reviews of one run, ``concurrency`` of them at once. Its address is ``reviewing_of(run)``.

    Each turn takes a review one step on, and what it is waiting for is in records and in inboxes; so
    whatever is killed, it goes on from its last step.
    """

    state: Docket

    @handles(Review)
    async def review(self, order: Review) -> None:
        """Begin a review. The same again has asked whom nobody asks any more, or repeats the verdict."""
        task = order.task.id
        await self.records.fetch(CLOSED, [task])
        closed: Closed | None = self.records.get(CLOSED, task, Closed)
        if closed is not None and (closed.told.attempt, closed.result) == (order.attempt, order.result):
            self.send(manager_of(order.run), closed.told)
            return
        case = await self._case(task, order.attempt)
        if case is None or case.review.result != order.result:
            self._leave(task)
            case = Case(order, order.route is Route.PANEL)
        if task in self.state.open:
            for seat in case.missing:
                self._ask(case, seat)
        elif task not in self.state.waiting:
            self.state.waiting.append(task)
        self.records.put(CASE, task, case)
        await self._open_next()

    @handles(Voted)
    async def voted(self, answer: Voted) -> None:
        """Count the vote of a reviewer who runs here. One that was cut short will be asked for again."""
        if answer.note is not None:
            await self._count(answer.task, answer.attempt, str(answer.seat), answer.note, answer.tokens)
        elif await self._case(answer.task, answer.attempt) is not None:
            self._leave(answer.task)
            await self._open_next()

    @handles(Said)
    async def said(self, reply: Said) -> None:
        """Count the vote of a reviewer who pulls."""
        await self._hear(of_reply(reply))

    @handles(Bounced)
    async def bounced(self, notice: Bounced) -> None:
        """Nobody is where a reviewer was looked for."""
        await self._hear(Opinion(UNRUN, f"nobody is at {notice.recipient}: {notice.reason}"))

    @handles(VoteOverdue)
    async def overdue(self, timer: VoteOverdue) -> None:
        """A reviewer who pulls has had its time."""
        await self._vote(
            timer.task, timer.attempt, str(timer.seat), Opinion(UNRUN, "nobody has answered in time")
        )

    # Votes

    async def _hear(self, opinion: Opinion) -> None:
        """Count what the message of this turn says, if it is about a vote."""
        found = vote_of(self.message.correlation_id)
        if found is not None:
            await self._vote(*found, opinion)

    async def _vote(self, task: str, attempt: int, seat: str, opinion: Opinion) -> None:
        """Count what somebody said who does not run here, under the name that it has in this review."""
        case = await self._case(task, attempt)
        if case is not None and seat in case.asked:
            took = (self.message.ready_at - case.asked[seat]) / MICROS
            note = opinion.noted(case.bench[int(seat)].name, took)
            await self._count(task, attempt, seat, note, opinion.tokens)

    async def _count(self, task: str, attempt: int, seat: str, note: Note, tokens: int | None) -> None:
        """Count a vote, once, and take its review on."""
        if tokens is not None:
            self.state.tokens += tokens
            self.state.counted += 1
        case = await self._case(task, attempt)
        if case is None or seat not in case.missing:
            return
        case.votes[seat] = note
        case.tokens += tokens or 0
        if tokens is None and case.review.reviewing.tokens and note.verdict != UNRUN:
            case.remarks.append(Note(note.name, SKIPPED, "it does not say how many tokens it uses"))
        await self._go_on(case)

    async def _case(self, task: str, attempt: int) -> Case | None:
        await self.records.fetch(CASE, [task])
        case: Case | None = self.records.get(CASE, task, Case)
        return case if case is not None and case.review.attempt == attempt else None

    # Steps of a review

    async def _open_next(self) -> None:
        """Begin reviews that wait, as long as there may be more at once."""
        docket = self.state
        while docket.waiting:
            await self.records.fetch(CASE, docket.waiting[:1])
            case: Case = self.records.get(CASE, docket.waiting[0], Case)
            if len(docket.open) >= case.review.reviewing.concurrency:
                return
            docket.open.append(docket.waiting.pop(0))
            await self._open(case)

    async def _open(self, case: Case) -> None:
        """Ask the first reviewers, or those whom nobody asks any more; all as far as the budget lets."""
        order = case.review
        if not case.asked:
            ruling, case.remarks = ruled(order.reviewing, await self._used(order), panel=case.panel)
            if ruling in UNASKED:
                await self._close(case, UNASKED[ruling])
                return
            case.panel = case.panel and ruling is not Ruling.ONE
            case.places, case.bench = bench_of(order.reviewing, order.hooks, panel=case.panel)
        for seat in case.missing:
            self._ask(case, seat)
        await self._go_on(case)

    async def _go_on(self, case: Case) -> None:
        """Ask stand-ins for those who could not vote; once all have voted, tell the verdict."""
        wanted = still_wanted(case.places, case.votes.values(), asked=len(case.asked), bench=len(case.bench))
        for _ in range(wanted):
            self._ask(case, str(len(case.asked)))
        if case.missing:
            self.records.put(CASE, case.review.task.id, case)
            return
        reviewing = case.review.reviewing
        if not case.bench:
            case.remarks.append(Note("review", UNRUN, "no reviewer is declared"))
        await self._close(
            case, verdict_of(case.votes.values(), case.places, reviewing.blocks if case.panel else 1)
        )

    async def _close(self, case: Case, verdict: str) -> None:
        """Tell the verdict, and remember it for the case that it is asked for again."""
        order = case.review
        task = order.task.id
        votes = [case.votes[seat] for seat in sorted(case.votes, key=int)]
        told = Reviewed(task, order.attempt, verdict, (*votes, *case.remarks), case.tokens, case.panel)
        self.send(manager_of(order.run), told)
        self.records.put(CLOSED, task, Closed(order.result, told))
        self.records.delete(CASE, task)
        self._leave(task)
        await self._open_next()

    async def _used(self, order: Review) -> float:
        """The tokens that are spent, and those that the votes under way may cost, as others did."""
        spent = max(order.used, self.state.tokens)
        if not (order.reviewing.tokens and self.state.counted):
            return spent
        others = [task for task in self.state.open if task != order.task.id]
        await self.records.fetch(CASE, others)
        under_way = sum(len(self.records.get(CASE, task, Case).missing) for task in others)
        return spent + under_way * self.state.tokens / self.state.counted

    def _leave(self, task: str) -> None:
        """A review makes room for another."""
        for queue in (self.state.open, self.state.waiting):
            if task in queue:
                queue.remove(task)

    # Asking

    def _ask(self, case: Case, seat: str) -> None:
        """Ask a reviewer. One who was asked already and has that mail still is not asked twice."""
        order = case.review
        task, attempt, reviewer = order.task.id, order.attempt, case.bench[int(seat)]
        case.asked.setdefault(seat, self.message.created_at)
        if reviewer.inbox:
            key = f"{order.run}/{task}/{attempt}/{seat}"
            wanted, tie = wanted_of(order, reviewer), correlation(task, attempt, seat)
            self.send(reviewer.inbox, wanted, dedup_key=key, correlation=tie, expires=reviewer.timeout)
            # An answer that came while nobody played the run is heard before this, though it is younger.
            self.after(reviewer.timeout, VoteOverdue(task, attempt, int(seat)), priority="low", dedup_key=key)
        else:
            cwd, log = order.folder or order.task.cwd, log_of(order, seat)
            vote = Vote(order.run, task, attempt, int(seat), reviewer, change_of(order, reviewer), cwd, log)
            self.send(reviewer_of(order.run), vote, dedup_key=f"{task}/{attempt}/{seat}")
