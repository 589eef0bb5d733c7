"""What comes from those who pull is kept without secrets, and short."""

from __future__ import annotations

from postroom.actors.convoys.allowed import Allowed
from postroom.actors.convoys.messages import Said
from postroom.actors.convoys.pulling import result_of

TOKEN = "ghp_" + "a1B2" * 9
REDACTED = "[redacted: github-token]"


def test_what_whoever_pulls_has_said_is_kept_without_its_secrets() -> None:
    done = result_of(Said(output={"said": [f"used {TOKEN}"]}), 1.0)
    assert done.output == f'{{"said":["used {REDACTED}"]}}'
    failed = result_of(Said("failed", reason=f"{TOKEN} was\nrefused"), 1.0)
    assert failed.reason == f"{REDACTED} was refused"


def test_what_is_allowed_is_kept_as_it_was_said() -> None:
    allowed = (Allowed("made up", pattern="ghp_[a-zA-Z0-9]+"),)
    result = result_of(Said("failed", TOKEN, reason=f"no {TOKEN}"), 1.0, allowed)
    assert (result.output, result.reason) == (TOKEN, f"no {TOKEN}")


def test_who_says_nothing_has_no_words() -> None:
    assert result_of(Said(), 1.0).output == ""
    assert result_of(Said(output=[None]), 1.0).output == "[null]"


def test_of_long_words_the_end_is_kept() -> None:
    result = result_of(Said(output="x" * 10_000 + " the end"), 1.0)
    assert len(result.output) <= 4096
    assert result.output.endswith("the end")
