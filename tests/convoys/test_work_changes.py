"""What an attempt has changed, by a look before and a look after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from working import Bench

from postroom.actors.convoys.plan import Gate, GateKind, Step, Task
from postroom.actors.convoys.work import changes as c

Files = dict[str, bytes]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def changed(bench: Bench, after: dict[str, str | bytes | None], *files: str) -> c.Changes:
    before = c.look_at(str(bench.folder), files)
    for path, text in after.items():
        if text is None:
            (bench.folder / path).unlink()
        else:
            bench.write(path, text)
    return c.changes(before, c.look_at(str(bench.folder), files))


def test_lines_that_came_and_went_are_counted(bench: Bench) -> None:
    bench.write("a", "1\n2\n3\n")
    bench.write("gone", "1\n2\n")
    bench.write("same", "1\n")
    found = changed(bench, {"a": "1\ntwo\n3\n", "new/b": "1\n2\n3\n", "gone": None, "same": "1\n"})
    assert found == c.Changes(2 + 3 + 2, 3, ("a", "gone", "new/b"))


def test_lines_that_moved_count_as_one(bench: Bench) -> None:
    bench.write("a", "1\n2\n")
    assert changed(bench, {"a": "2\n1\n"}) == c.Changes(1, 1, ("a",))


def test_an_empty_file_that_came_is_a_change(bench: Bench) -> None:
    assert changed(bench, {"a": ""}) == c.Changes(1, 1, ("a",))


def test_a_file_that_is_written_anew_as_it_was_is_no_change(bench: Bench) -> None:
    bench.write("a", "1\n")
    assert changed(bench, {"a": "1\n"}) == c.Changes()


def test_bytes_that_are_no_text_count_by_their_size(bench: Bench) -> None:
    assert changed(bench, {"a": b"\0" * 800}).lines == 10


def test_a_large_file_counts_by_its_size(bench: Bench) -> None:
    bench.write("a", b"x" * (2 << 20))
    assert changed(bench, {"a": b"y" * (2 << 20)}).lines == (2 << 20) // c.BYTES_A_LINE
    assert changed(bench, {}) == c.Changes()


def test_only_the_files_of_a_task_are_looked_at_and_all_in_its_folders(bench: Bench) -> None:
    found = changed(bench, {"src/a/b": "1\n", "srcs": "1\n", "one": "1\n", "other": "1\n"}, "src", "one")
    assert found.paths == ("one", "src/a/b")


def test_what_belongs_to_tools_is_not_looked_at(bench: Bench) -> None:
    found = changed(
        bench, {".git/HEAD": "x", ".postroom/log": "x", "a/__pycache__/b": "x", ".gitignore": "x"}
    )
    assert found.paths == (".gitignore",)


def test_links_are_not_followed_and_are_changes_themselves(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (bench.folder / "link").symlink_to(outside)
    before = c.look_at(str(bench.folder), ())
    (outside / "file").touch()
    assert c.changes(before, c.look_at(str(bench.folder), ())) == c.Changes()
    (bench.folder / "link").unlink()
    (bench.folder / "link").symlink_to(tmp_path)
    assert c.changes(before, c.look_at(str(bench.folder), ())).paths == ("link",)


def test_a_link_among_the_files_of_a_task_leads_nowhere(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (bench.folder / "src").symlink_to(tmp_path / "outside")
    before = c.look_at(str(bench.folder), ("src", "../outside", "src/deeper"))
    (tmp_path / "outside" / "file").touch()
    assert c.changes(before, c.look_at(str(bench.folder), ("src", "../outside", "src/deeper"))) == c.Changes()


def test_a_task_that_points_its_own_link_elsewhere_has_changed_it(bench: Bench) -> None:
    link = bench.folder / "current"
    before = c.look_at(str(bench.folder), ("current",))
    for target in ("one", "two"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        after = c.look_at(str(bench.folder), ("current",))
        assert c.changes(before, after) == c.Changes(1 if target == "one" else 2, 1, ("current",))
        before = after


def test_a_pipe_keeps_nobody_waiting(bench: Bench) -> None:
    os.mkfifo(bench.folder / "pipe")
    assert c.look_at(str(bench.folder), ()).seen["pipe"].content == b""


def test_of_too_many_files_nothing_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "MOST_FILES", 3)
    assert changed(bench, {"a": "1", "b": "2"}).known
    found = changed(bench, {"c": "3"})
    assert found == c.UNKNOWN
    assert not found.known


def test_paths_on_record_are_bounded_and_their_number_is_right(bench: Bench) -> None:
    found = changed(bench, {f"f{n}": "x" for n in range(c.MOST_PATHS + 5)})
    assert (found.files, len(found.paths)) == (c.MOST_PATHS + 5, c.MOST_PATHS)


def test_a_name_that_is_no_text_is_shown_as_one(bench: Bench) -> None:
    (Path(str(bench.folder)) / "a\udcff").touch()
    before = c.Look({})
    assert c.changes(before, c.look_at(str(bench.folder), ())).paths == ("a\\xff",)


def test_a_task_is_measured_if_it_owns_files_or_has_a_gate_that_asks() -> None:
    gate = Gate("g", GateKind.NO_OP)
    assert not c.measured(Task("a", "/", gates=(Gate("g", command=("true",)),)))
    assert c.measured(Task("a", "/", files=("a",)))
    assert c.measured(Task("a", "/", gates=(gate,)))
    assert c.measured(Task("a", "/", steps=(Step("s", Task("a", "/").work, gates=(gate,)),)))


contents = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.sampled_from(["1\n", "2\n", "3\n"]), max_size=5).map("".join)
)


def seen(files: dict[str, str]) -> c.Look:
    return c.Look({path: c.Seen(len(text), (0, 0, 0), text.encode()) for path, text in files.items()})


@given(contents, contents)
def test_a_change_counts_the_same_both_ways_and_is_there_exactly_if_something_differs(
    one: dict[str, str], other: dict[str, str]
) -> None:
    forth, back = c.changes(seen(one), seen(other)), c.changes(seen(other), seen(one))
    assert forth == back
    assert (forth == c.NOTHING) is (one == other)
    assert forth.lines >= forth.files == len(forth.paths)
    assert forth.lines <= sum(max(1, text.count("\n")) for text in (*one.values(), *other.values()))
