"""Every command answers the same on a file and on a server, once ids, times and fences are masked."""

from __future__ import annotations

from pathlib import Path

import pytest
from same_words import Typist, convoys, differences, loops, oversight, pull_mode
from shells import Shell

from postroom.console.main import COMMANDS

ELSEWHERE = frozenset(("backup", "restore", "repair", "doctor", "copy", "simulate", "bench", "serve"))
"""Commands of which the answer is not the same, or has nothing to do with the store."""


OTHER_WAYS = [pytest.param(name, marks=pytest.mark.long) for name in ("pgbouncer_url", "runner_url")]
"""By a pooler, and as a role that may change rows only."""


@pytest.fixture(params=["postgres_url", *OTHER_WAYS])
def both(request: pytest.FixtureRequest, shell: Shell, tmp_path: Path) -> tuple[Typist, Typist]:
    url: str = request.getfixturevalue(request.param)
    return (
        Typist(shell, f"sqlite:///{tmp_path}/file.db", tmp_path),
        Typist(shell, url, tmp_path),
    )


def test_every_command_answers_the_same(both: tuple[Typist, Typist], tmp_path: Path) -> None:
    for at in both:
        pull_mode(at)
        oversight(at)
        loops(at)
        convoys(at, tmp_path)
    on_file, on_server = (at.said for at in both)
    found = [
        f"{words}{what}"
        for (words, *there), (_, *here) in zip(on_file, on_server, strict=True)
        for what in differences(there, here)
    ]
    assert "\n".join(found) == ""
    typed = {said.split()[0] for said, _, _ in on_file}
    assert typed == COMMANDS.keys() - ELSEWHERE
