"""What a reviewer's answer means, in each of the forms that it may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from attrs import evolve, frozen

from ..messages import Said
from ..record.secrets import redact
from ..rules.attempts import BLOCKED, PASSED, UNRUN
from ..rules.standing import Note
from ..work.commands import last_line
from ..work.counting import counted, table_in

WORDS = {"pass": PASSED, "block": BLOCKED}
CODES = {0: PASSED, 1: BLOCKED}
"""What the exit code of a reviewer says. Any other means that it could not review."""

KEYS = ("verdict", "text", "tokens")
LONGEST_TEXT = 2000
"""Characters that are kept of what a reviewer says."""


@frozen
class Opinion:
    """What one reviewer says: passed, blocked or unrun. ``tokens`` None means that nobody counted."""

    verdict: str
    text: str = ""
    tokens: int | None = None

    def noted(self, name: str, seconds: float) -> Note:
        """For the record: short, and without secrets."""
        text, _ = redact(self.text.encode(errors="replace").decode())
        took = round(max(0.0, seconds), 3)
        # Who could not review is not blamed for tokens that it does not tell.
        asked = "" if self.verdict == UNRUN else name
        return Note(name, self.verdict, text[:LONGEST_TEXT], took, asked=asked, tokens=self.tokens)


def of_command(code: int, words: str, reason: str) -> Opinion:
    """What a command says by its exit code, or by the last line of its words that is a JSON object.

    If both have a verdict, the stricter one holds. ``reason`` is how it ended, in one line.
    """
    by_code = CODES.get(code, UNRUN)
    if by_code == UNRUN:
        return Opinion(UNRUN, reason)
    table = _last_table(words)
    if table is None:
        return Opinion(by_code, last_line(words))
    if "verdict" not in table:
        return evolve(of_table({**table, "verdict": "pass"}), verdict=by_code)
    opinion = of_table(table)
    if by_code == BLOCKED and opinion.verdict == PASSED:
        return evolve(opinion, verdict=BLOCKED, text=f"{opinion.text} (but it ended with exit 1)".strip())
    return opinion


def of_answer(answer: object) -> Opinion:
    """What a value says: true or false, a word with a text after a colon, or a table."""
    if isinstance(answer, bool):
        return Opinion(PASSED if answer else BLOCKED)
    if isinstance(answer, str):
        word, _, text = answer.partition(":")
        return _of_word(word.strip(), text.strip(), None)
    if isinstance(answer, Mapping):
        return of_table(cast(Mapping[str, Any], answer))
    return Opinion(UNRUN, "its answer has no verdict")


def of_table(table: Mapping[str, Any]) -> Opinion:
    """What a table with a ``verdict``, and perhaps ``text`` and ``tokens``, says."""
    text, tokens = table.get("text", ""), table.get("tokens")
    return _of_word(table.get("verdict"), text if isinstance(text, str) else repr(text), counted(tokens))


def of_reply(reply: Said) -> Opinion:
    """What the reply of a reviewer who pulls says."""
    if reply.status != "done":
        return Opinion(UNRUN, reply.reason or f"it says {reply.status}", reply.tokens)
    if not reply.verdict:
        opinion = of_answer(reply.output)
        return evolve(opinion, tokens=reply.tokens if opinion.tokens is None else opinion.tokens)
    words = reply.output if isinstance(reply.output, str) else ""
    return _of_word(reply.verdict, reply.reason or words, reply.tokens)


def _of_word(word: object, text: str, tokens: int | None) -> Opinion:
    verdict = WORDS.get(word) if isinstance(word, str) else None
    if verdict is None:
        return Opinion(UNRUN, f"{str(word)[:60]!r} is no verdict, pass and block are", tokens)
    return Opinion(verdict, text, tokens)


def _last_table(words: str) -> Mapping[str, Any] | None:
    """The last table that says anything of a review."""
    tables = map(table_in, reversed(words.split("\n")))
    return next((table for table in tables if table and any(key in table for key in KEYS)), None)
