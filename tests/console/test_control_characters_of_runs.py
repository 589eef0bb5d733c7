"""Convoy files full of what terminals obey: no command about runs lets any of it through."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_words import IN_FILES, judge


def test_a_run_is_harmless_whatever_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = IN_FILES.encode("unicode_escape").decode().replace("\\x", "\\u00")
    good = f'[convoy]\nname = "{text}"\n[tasks.a]\ncommand = ["printf", "{text}"]\n' + (
        f'[tasks.b]\ncommand = ["false", "{text}"]\nretries = 0\n'
    )
    folder = tmp_path / IN_FILES
    folder.mkdir()
    (folder / "good.toml").write_text(good)
    judge("run", f"{IN_FILES}/good.toml", codes=(1,))
    for line in (f'"{text}" = 1', f"# {IN_FILES}", f'x = "{IN_FILES}', f'[tasks."{text}"]',
    f'[tasks.c]\ncommand = ["{text}"]',
                 f'[tasks.c]\ncommand = "true"\ncwd = "{text}"', f'[tasks.c]\ncall = "{text}"',
                 f'[tasks.c]\ndepends_on = ["{text}"]'):  # fmt: skip
        (folder / "bad.toml").write_text(f"{good}{line}\n")
        judge("run", f"{IN_FILES}/bad.toml", codes=(2,))
        judge("plan", f"{IN_FILES}/bad.toml", codes=(2,))
    judge("plan", f"{IN_FILES}/good.toml")
    judge("plan", f"{IN_FILES}/good.toml", "--resolved")
    judge("run", f"{IN_FILES}/good.toml", "--set", f"{IN_FILES}=1", codes=(2,))
    judge("run", f"{IN_FILES}/none.toml", codes=(2,))


def test_looking_at_a_run_and_ordering_it_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = IN_FILES.encode("unicode_escape").decode().replace("\\x", "\\u00")
    file = f"{IN_FILES}/work.toml"
    Path(IN_FILES).mkdir()
    Path(file).write_text(
        f'[convoy]\nname = "{text}"\n[budget]\nturns = 9\n[defaults]\nretries = 0\n'
        f'[tasks.a]\ncommand = "printf \\"{text}\\"; exit 3"\n[tasks.b]\ncommand = "true"\n'
    )
    judge("run", file, codes=(1,))
    for words in (("runs",), ("runs", file), ("status", file), ("dead", "list", "--run", file)):
        judge(*words)
    judge("events", file)
    judge("events", file, "--ndjson", codes=(0, 2))
    judge("export", file, f"{IN_FILES}/run.tar.gz", codes=(0, 3))
    judge("dispute", "list", file)
    judge("dispute", "resolve", file, "a", "pass", "--text", "so", codes=(3,))
    judge("dispute", "resolve", file, "a", "pass", "--text", IN_FILES, codes=(2,))
    judge("dead", "resolve", "a", "--run", file, "--text", "seen to", codes=(0, 3))
    judge("dead", "retry", "--run", file, codes=(0, 4))
    judge("retry", file, codes=(0, 4))
    judge("retry", file, IN_FILES, codes=(2,))
    judge("allow", file, "turns=1")
    judge("allow", file, IN_FILES, codes=(2,))
    Path(f"{IN_FILES}/task.toml").write_text(f'[tasks.c]\ncommand = "printf \\"{text}\\""\n')
    judge("inject", file, f"{IN_FILES}/task.toml")
    judge("inject", file, f"{IN_FILES}/task.toml", "--key", IN_FILES, codes=(2,))
    judge("inject", file, f"{IN_FILES}/none.toml", codes=(2,))
    judge("cancel", file, "a", "--reason", IN_FILES, codes=(2,))
    judge("cancel", file, IN_FILES, codes=(2,))
    judge("cancel", file, codes=(0, 3))
    judge("status", IN_FILES, codes=(1,))
