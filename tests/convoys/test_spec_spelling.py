"""Where upper and lower case are not told apart, a file is spelled in one way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from convoy_files import Folder

from postroom.actors.convoys.spec.spelling import tells_case_apart

TEXT = """\
    [tasks.a]
    command = "true"
    files = ["src/App.py", "docs"]
    [tasks.b]
    command = "true"
    files = ["docs/x", "Src/other.py", "src/app.py"]
"""


def forget_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the file system find a file by a name in another case."""
    found = os.path.lexists

    def lexists(path: str) -> bool:
        there = Path(path)
        names = {each.name.casefold() for each in there.parent.iterdir()}
        return found(path) or there.name.casefold() in names

    monkeypatch.setattr(os.path, "lexists", lexists)


def test_names_that_differ_by_case_are_two_files_where_that_is_told_apart(folder: Folder) -> None:
    assert len(folder.read(TEXT).tasks) == 2


def test_where_it_is_not_a_second_spelling_of_a_file_or_folder_is_a_fault(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_case(monkeypatch)
    same = f"in {folder.path} upper and lower case are the same"
    assert folder.lines(TEXT) == [
        f"6: tasks.b.files[1]: Src is src: {same} (write src)",
        f"6: tasks.b.files[2]: src/app.py is src/App.py: {same} (write src/App.py)",
    ]
    assert len(folder.read(TEXT.replace("Src", "src").replace("App", "app")).tasks) == 2


def test_a_folder_shows_by_what_is_in_it_whether_case_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tells_case_apart(str(tmp_path / "gone"))
    assert tells_case_apart(str(tmp_path))
    (tmp_path / "a").touch()
    assert tells_case_apart(str(tmp_path))
    forget_case(monkeypatch)
    assert not tells_case_apart(str(tmp_path))
    (tmp_path / "A").touch()
    assert tells_case_apart(str(tmp_path)), "both are there"
