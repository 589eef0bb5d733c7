"""Words and texts that a terminal would obey, and commands run with them."""

from __future__ import annotations

import json

from prove.inputs.command_lines import Seen, run
from prove.inputs.material import ESCAPES, HIDDEN

from postroom.console import render

HOSTILE = "x" + "".join(ESCAPES) + "".join(HIDDEN) + "x"
IN_FILES = "x\x1b[2J\x9b31m\u202e\u200b\x7fx"
HIDDEN_ID = HOSTILE.replace("\0", "")
STORE = "sqlite:///post.db"


def assert_harmless(words: object, text: str) -> None:
    """Nothing but line ends and, in columns for a shell, tabs."""
    found = render.UNSAFE.search(text.replace("\n", "").replace("\t", ""))
    assert found is None, (
        f"{words} wrote {found[0]!r}: {text[max(0, found.start() - 40) : found.start() + 40]!r}"
    )


def judge(*words: str, codes: tuple[int, ...] = (0,), stdin: bytes = b"") -> Seen:
    """Run for people and for programs; the former is answered, as the latter may find it changed."""
    for flags in ((), ("--json",), ("--debug",)):
        seen = run(("--store", STORE, *flags, *words), stdin)
        assert_harmless(words, seen.out)
        assert_harmless(words, seen.err)
        assert seen.code in codes, (words, seen)
        if flags == ("--json",):
            assert seen.err == ""
            json.loads(seen.out)
            assert seen.out.count("\n") == 1
    return seen
