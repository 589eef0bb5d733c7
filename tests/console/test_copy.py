"""``postroom copy`` as people run it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from shells import Shell


@pytest.fixture
def source(shell: Shell, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/a.db"
    shell.json("pair", "t", "--manager", "m", "--worker", "w", "--store", url)
    for number in range(3):
        shell.json("send", "worker/w", "--type", "t", "--body", str(number), "--store", url)
    return url


def test_a_copy_answers_what_was_copied(shell: Shell, source: str, tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path}/b.db"
    assert shell.run("copy", "--from", source, "--to", target, "--json") == 0
    document = msgspec.json.decode(shell.out)
    assert (document["source"], document["target"]) == (source, target)
    assert (document["accepted"], document["rows"]["messages"]) == (3, 3)
    assert "compared 3 of 3 messages" in shell.err
    assert shell.json("inbox", "show", "worker/w", "--store", target)["ready"] == 3
    assert (tmp_path / "b.db").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("b.db*")) == ["b.db"]


def test_a_copy_says_how_the_new_store_is_used(shell: Shell, source: str) -> None:
    assert "export POSTROOM_STORE=sqlite:////" in shell.text(
        "copy", "--from", source, "--to", "sqlite:///b.db"
    )


def test_what_is_wrong_with_a_copy_has_its_exit_code(shell: Shell, source: str) -> None:
    assert shell.error("copy", "--from", source, "--to", source, code=2) == "bad_input"
    assert shell.error("copy", "--from", source, "--to", "http://x", code=2) == "bad_input"
    assert shell.error("copy", "--from", "b.db", "--to", "sqlite:///c.db", code=2) == "bad_input"
    assert (
        shell.error("copy", "--from", "sqlite:///no.db", "--to", "sqlite:///c.db", code=5)
        == "store_unavailable"
    )
    Path("there.db").touch()
    assert shell.error("copy", "--from", source, "--to", "sqlite:///there.db", code=3) == "conflict"


def test_what_is_known_by_settings_need_not_have_its_password(
    shell: Shell, source: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTROOM_STORE", postgres_url.replace("postgres@", "postgres:s3same@"))
    shown = shell.json("pair", "x", "--manager", "m", "--worker", "w")["store"]
    assert "***" in shown
    assert shell.run("copy", "--from", shown, "--to", "sqlite:///b.db") == 0
    assert "s3same" not in shell.out + shell.err
