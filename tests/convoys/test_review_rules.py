"""What reviewers' answers mean, and what comes of their votes: the rules, without any actor."""

from __future__ import annotations

import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from reviews import declared, order

from postroom.actors.convoys.messages import Said
from postroom.actors.convoys.plan import Hook, HookKind, HookPoint, OnBudget, Reviewer, Reviewing
from postroom.actors.convoys.review.change import change_of, wanted_of
from postroom.actors.convoys.review.judging import Ruling, bench_of, ruled, still_wanted, verdict_of
from postroom.actors.convoys.review.saying import Opinion, of_answer, of_command, of_reply
from postroom.actors.convoys.review.votes import correlation, vote_of
from postroom.actors.convoys.rules.standing import Note

VOTES = st.lists(st.sampled_from(["passed", "blocked", "unrun"]), max_size=7)


def notes(votes: list[str]) -> list[Note]:
    return [Note(f"reviewer-{n}", verdict) for n, verdict in enumerate(votes)]


# Verdicts


@given(VOTES, st.integers(1, 5), st.integers(1, 5))
def test_a_vote_that_is_missing_never_makes_a_pass(votes: list[str], places: int, blocks: int) -> None:
    """Whatever those would have said who could not vote, it would be passed all the same."""
    if verdict_of(notes(votes), places, blocks) == "passed":
        missing = max(0, places - sum(vote != "unrun" for vote in votes))
        said = [vote for vote in votes if vote != "unrun"] + ["blocked"] * missing
        assert said.count("blocked") < blocks
        assert 2 * missing < places


@given(VOTES, st.integers(1, 5), st.integers(1, 5))
def test_enough_votes_against_block_whoever_is_missing(votes: list[str], places: int, blocks: int) -> None:
    blocked = votes.count("blocked") >= blocks
    assert (verdict_of(notes(votes), places, blocks) == "blocked") is blocked


@given(st.integers(1, 5), st.integers(1, 5))
def test_without_any_vote_nothing_is_passed(places: int, blocks: int) -> None:
    assert verdict_of([], places, blocks) == "unrun"


@given(VOTES, st.integers(1, 5), st.integers(0, 9))
def test_stand_ins_are_asked_only_for_who_could_not_vote(votes: list[str], places: int, bench: int) -> None:
    wanted = still_wanted(places, notes(votes), asked=len(votes), bench=bench)
    assert wanted <= max(0, bench - len(votes))
    assert len(votes) + wanted <= max(len(votes), places + votes.count("unrun"))


@given(VOTES, st.integers(1, 5), st.integers(0, 9))
def test_who_could_not_vote_is_stood_in_for_while_somebody_is_left(
    votes: list[str], places: int, bench: int
) -> None:
    wanted = still_wanted(places, notes(votes), asked=len(votes), bench=bench)
    assert len(votes) + wanted >= min(places + votes.count("unrun"), bench)


# Who is asked


def hooks(*names: str) -> list[Hook]:
    return [
        Hook(name, HookPoint.POST_TASK, HookKind.REVIEW, ("true",) if name == "own" else ()) for name in names
    ]


@pytest.mark.parametrize(
    ("declared", "panel", "given_hooks", "expected"),
    [
        (3, False, [], (1, ["0", "1", "2"])),
        (3, True, [], (3, ["0", "1", "2"])),
        (3, False, ["more"], (2, ["0", "1", "2"])),
        (1, False, ["more"], (1, ["0"])),
        (1, False, ["own"], (2, ["own", "0"])),
        (3, True, ["own", "more"], (4, ["own", "0", "1", "2"])),
        (1, True, ["more"], (3, ["0"])),
        (0, False, ["own"], (2, ["own"])),
    ],
)
def test_places_do_not_shrink_because_too_few_are_declared(
    declared: int, panel: bool, given_hooks: list[str], expected: tuple[int, list[str]]
) -> None:
    rules = Reviewing(reviewers=tuple(Reviewer(str(n)) for n in range(declared)))
    places, bench = bench_of(rules, hooks(*given_hooks), panel=panel)
    assert (places, [reviewer.name for reviewer in bench]) == expected


# Budgets


@pytest.mark.parametrize("policy", list(OnBudget))
@pytest.mark.parametrize("panel", [True, False])
def test_below_its_budget_a_review_goes_on(policy: OnBudget, panel: bool) -> None:
    assert ruled(Reviewing(tokens=10, on_budget=policy), 9.9, panel=panel) == (Ruling.GO, [])
    assert ruled(Reviewing(tokens=0, on_budget=policy), 10**9, panel=panel) == (Ruling.GO, [])


@pytest.mark.parametrize(
    ("policy", "panel", "ruling", "verdict"),
    [
        (OnBudget.SKIP, True, Ruling.SKIP, "skipped"),
        (OnBudget.DOWNGRADE, True, Ruling.ONE, "skipped"),
        (OnBudget.DOWNGRADE, False, Ruling.SKIP, "skipped"),
        (OnBudget.STOP, False, Ruling.STOP, "unrun"),
    ],
)
def test_a_budget_that_is_used_up_is_named(
    policy: OnBudget, panel: bool, ruling: Ruling, verdict: str
) -> None:
    found, (note,) = ruled(Reviewing(tokens=10, on_budget=policy), 10, panel=panel)
    assert (found, note.name, note.verdict) == (ruling, "budget", verdict)
    assert "10 of 10 tokens" in note.text


# Answers


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        (0, "", Opinion("passed")),
        (0, "all fine\n", Opinion("passed", "all fine")),
        (1, "line 3: too long\n", Opinion("blocked", "line 3: too long")),
        (2, '{"verdict": "pass"}', Opinion("unrun", "how it ended")),
        (-9, "", Opinion("unrun", "how it ended")),
        (0, '{"verdict": "block", "text": "no", "tokens": 5}\n', Opinion("blocked", "no", 5)),
        (0, 'x\n{"verdict": "pass"}\nwarning: late\n', Opinion("passed")),
        (0, '{"verdict": "block"}\n{"a": 1}\n{not json}\n', Opinion("blocked")),
        (0, '{"verdict": "pass"}\n{"verdict": "block", "text": "no"}\n', Opinion("blocked", "no")),
        (1, '{"verdict": "pass", "text": "ok"}', Opinion("blocked", "ok (but it ended with exit 1)")),
        (0, '{"tokens": 3}', Opinion("passed", "", 3)),
        (1, '{"tokens": 3, "text": "bad"}', Opinion("blocked", "bad", 3)),
        (0, '{"verdict": "maybe"}', Opinion("unrun", "'maybe' is no verdict, pass and block are")),
        (0, '{"verdict": null}', Opinion("unrun", "'None' is no verdict, pass and block are")),
        (0, '{"verdict": ["pass"]}', Opinion("unrun", "\"['pass']\" is no verdict, pass and block are")),
        (0, '{"verdict": "pass", "tokens": -1}', Opinion("passed")),
        (0, '{"verdict": "pass", "tokens": true}', Opinion("passed")),
    ],
)
def test_a_command_answers_by_exit_code_or_by_its_last_json_line(
    code: int, words: str, expected: Opinion
) -> None:
    assert of_command(code, words, "how it ended") == expected


def test_a_verdict_with_a_very_long_text_is_still_that_verdict() -> None:
    line = json.dumps({"verdict": "block", "text": "x" * 500_000})
    assert of_command(0, line, "").verdict == "blocked"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (True, "passed"),
        (False, "blocked"),
        ("pass", "passed"),
        ("block: too long", "blocked"),
        ("yes", "unrun"),
        ("", "unrun"),
        ({"verdict": "pass", "tokens": 2**60}, "passed"),
        ({}, "unrun"),
        (None, "unrun"),
        (1, "unrun"),
    ],
)
def test_a_value_answers_by_truth_word_or_table(answer: object, verdict: str) -> None:
    opinion = of_answer(answer)
    assert (opinion.verdict, opinion.tokens) == (verdict, None)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Said(verdict="pass", tokens=3), Opinion("passed", "", 3)),
        (Said(verdict="block", reason="no"), Opinion("blocked", "no")),
        (Said(verdict="block", output="no"), Opinion("blocked", "no")),
        (Said(verdict="pass", status="failed", reason="no time"), Opinion("unrun", "no time")),
        (Said(output="pass"), Opinion("passed")),
        (Said(output={"verdict": "block", "text": "no"}, tokens=4), Opinion("blocked", "no", 4)),
        (Said(), Opinion("unrun", "its answer has no verdict")),
    ],
)
def test_a_reply_answers_by_its_verdict_or_its_output(reply: Said, expected: Opinion) -> None:
    assert of_reply(reply) == expected


def test_what_is_kept_of_an_answer_is_short_and_without_secrets_and_can_be_written() -> None:
    note = Opinion("blocked", "PASSWORD=hunter2222 \udcff" + "x" * 10_000).noted("one", 0.12345)
    assert "hunter2222" not in note.text
    assert len(note.text) == 2000
    assert note.seconds == 0.123
    note.text.encode()


# Replies find their vote


@given(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", fullmatch=True),
    st.integers(1, 999),
    st.integers(0, 9),
)
def test_a_reply_is_tied_to_one_vote(task: str, attempt: int, seat: int) -> None:
    assert vote_of(correlation(task, attempt, str(seat))) == (task, attempt, str(seat))


@pytest.mark.parametrize(
    "text", [None, "", "task/1/a", "review/1/a", "review/x/0/a", "review/1/0/", "review"]
)
def test_mail_about_something_else_is_no_vote(text: str | None) -> None:
    assert vote_of(text) is None


def test_who_reviews_is_shown_no_secrets() -> None:
    plain = order(Reviewing())
    said = evolve(plain, result=evolve(plain.result, output="PASSWORD=hunter2222"))
    (reviewer,) = declared("pull-1")
    assert change_of(said, reviewer)["output"] == wanted_of(said, reviewer).output
    assert "hunter2222" not in wanted_of(said, reviewer).output
