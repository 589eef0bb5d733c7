"""Nothing that a message holds reaches a terminal raw."""

from __future__ import annotations

import io
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.console import render
from postroom.console.exits import exit_code
from postroom.store import errors

DANGEROUS = "\x00\x07\x1b\r\n\x7f\x85\x9b\xad\u061c\u200b\u200e\u202e\u2028\u2066\ufeff\U000e0041"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text())
def test_escaped_text_has_no_character_that_controls_or_hides(text: str) -> None:
    shown = render.escape(text)
    assert not [char for char in shown if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]


@given(st.text(st.characters(codec="utf-8")) | st.sampled_from(DANGEROUS))
def test_escaped_json_means_the_same(text: str) -> None:
    shown = render.json_text({"text": text})
    assert msgspec.json.decode(shown) == {"text": text}
    assert not set(shown) & set(DANGEROUS)


def test_each_dangerous_character_is_shown_as_an_escape() -> None:
    assert not set(render.escape(DANGEROUS)) & set(DANGEROUS)
    assert render.escape("\x1b[31m\x9b\u202e") == "\\x1b[31m\\x9b\\u202e"


def test_what_people_read_elsewhere_is_left_alone() -> None:
    assert render.escape("größe 数 🙂 'quoted' \\n") == "größe 数 🙂 'quoted' \\n"


def rows() -> list[tuple[Any, ...]]:
    return [("worker/w\x1b[2J", 10, None), ("manager/m", 2, True)]


def test_a_piped_table_is_plain_columns() -> None:
    out = io.StringIO()
    render.table(out, ("inbox", "ready", "paused"), rows())
    assert out.getvalue() == (
        "inbox            ready  paused\nworker/w\\x1b[2J     10  -\nmanager/m            2  yes\n"
    )


def test_a_table_without_rows_is_its_headings() -> None:
    out = io.StringIO()
    render.table(out, ("inbox", "ready"), [])
    assert out.getvalue() == "inbox  ready\n"


def test_a_table_on_a_terminal_is_drawn_without_obeying_its_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    render.table(out, ("inbox", "ready", "paused"), [*rows(), ("[red]x[/red]", 1, False)])
    shown = out.getvalue()
    assert "\x1b[2J" not in shown
    assert "\x1b[31m" not in shown
    assert "[red]x[/red]" in shown


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadInput, 2),
        (errors.Refused, 1),
        (errors.UnknownInbox, 1),
        (errors.UnknownMessage, 1),
        (errors.InboxFull, 1),
        (errors.EmptyGroup, 1),
        (errors.Conflict, 3),
        (errors.LostLease, 3),
        (errors.StoreUnavailable, 5),
        (errors.StoreBusy, 5),
        (errors.OutcomeUnknown, 5),
        (errors.PostroomError, 1),
    ],
)
def test_every_error_has_the_exit_code_of_the_contract(error: type[errors.PostroomError], code: int) -> None:
    assert exit_code(error("what")) == code
