"""Gates: commands that are ended when they hang, and those that are built in."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from working import Bench, gone, words_in

from postroom.actors.convoys.plan import Gate, GateKind
from postroom.actors.convoys.rules.standing import Note
from postroom.actors.convoys.work import builtin, commands
from postroom.actors.convoys.work.builtin import Matter
from postroom.actors.convoys.work.changes import UNKNOWN, Changes
from postroom.actors.convoys.work.gates import first_wrong, run_gates

KEY = "AKIA" + "Z7Q2M4X8K1P5R9T3"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def tried(
    bench: Bench, *gates: Gate, changes: Changes | None = None, owned: tuple[str, ...] = ()
) -> list[Note]:
    async def look() -> Matter:
        return Matter(str(bench.folder), bench.log, changes, owned)

    return await run_gates(gates, bench.setting(), look)


def command(line: str, timeout: float = 30) -> Gate:
    return Gate("check", command=("sh", "-c", line), timeout=timeout)


async def test_a_gate_passes_if_its_command_exits_with_0(bench: Bench) -> None:
    (note,) = await tried(bench, command("echo fine"))
    assert (note.name, note.verdict, note.text, note.output) == ("check", "passed", "", "")
    assert bench.log.read_text() == "fine\n"


async def test_a_gate_that_fails_has_blocked_and_says_why_and_what_it_said(bench: Bench) -> None:
    (note,) = await tried(bench, command("echo one; echo two; exit 3"))
    assert (note.verdict, note.text, note.output) == ("blocked", "exit 3: two", "one\ntwo\n")


async def test_a_gate_that_cannot_be_started_is_unrun_and_has_not_passed(bench: Bench) -> None:
    notes = await tried(bench, Gate("check", command=("./gone",)))
    assert (notes[0].verdict, notes[0].text) == ("unrun", "could not be started: No such file or directory")
    assert first_wrong(notes) == notes[0]


async def test_all_gates_are_tried_also_after_one_that_fails(bench: Bench) -> None:
    notes = await tried(bench, command("exit 1"), command("true"), command("exit 2"))
    assert [note.verdict for note in notes] == ["blocked", "passed", "blocked"]
    assert first_wrong(notes) == notes[0]
    assert first_wrong(notes[1:2]) is None


async def test_a_gate_that_hangs_and_ignores_the_first_signal_is_ended_with_all_it_began(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "KILL_AFTER", 0.1)
    hang = "trap '' TERM; while :; do sleep 0.05; done"
    line = f"echo waiting; ({hang}) & echo $! $$ > pids; {hang}"
    with trio.fail_after(20):
        (note,) = await tried(bench, command(line, timeout=0.5))
    pids = [int(pid) for pid in await words_in(bench.folder / "pids", 2)]
    await gone(*pids)
    assert (note.verdict, note.text) == ("blocked", "took longer than 0.5 s")
    assert note.seconds >= 0.5


async def test_a_gate_that_is_too_late_passes_not_even_if_it_ends_well(bench: Bench) -> None:
    (note,) = await tried(bench, command("trap 'exit 0' TERM; while :; do sleep 0.01; done", timeout=0.2))
    assert note.verdict == "blocked"


BLAST = Gate("blast", GateKind.BLAST_RADIUS)


@pytest.mark.parametrize(
    ("lines", "files", "verdict", "warns"),
    [
        (0, 0, "passed", False),
        (199, 4, "passed", False),
        (200, 1, "passed", True),
        (1, 5, "passed", True),
        (499, 9, "passed", True),
        (500, 1, "blocked", False),
        (1, 10, "blocked", False),
    ],
)
async def test_the_blast_radius_warns_and_then_blocks(
    bench: Bench, lines: int, files: int, verdict: str, warns: bool
) -> None:
    (note,) = await tried(bench, BLAST, changes=Changes(lines, files))
    assert (note.verdict, note.text.startswith("warning: ")) == (verdict, warns)
    assert f"{lines} lines in {files} files" in note.text


async def test_the_limits_of_a_blast_radius_can_be_given(bench: Bench) -> None:
    gate = Gate("blast", GateKind.BLAST_RADIUS, most_lines=3, most_files=1)
    notes = [(await tried(bench, gate, changes=Changes(lines, 1)))[0] for lines in (1, 3, 4)]
    assert [note.verdict for note in notes] == ["passed", "passed", "blocked"]
    assert notes[2].text == "4 lines in 1 files; at most 3 in 1 may change"


async def test_whoever_changed_nothing_is_blocked(bench: Bench) -> None:
    gate = Gate("no op", GateKind.NO_OP)
    (note,) = await tried(bench, gate, changes=Changes(), owned=("a", "b"))
    assert (note.verdict, note.text) == ("blocked", "it has changed nothing of a, b")
    (note,) = await tried(bench, gate, changes=Changes(1, 1, ("a",)))
    assert note.verdict == "passed"


@pytest.mark.parametrize("kind", [GateKind.BLAST_RADIUS, GateKind.NO_OP, GateKind.SECRET_SCAN])
async def test_what_nobody_has_measured_has_not_passed(bench: Bench, kind: GateKind) -> None:
    (note,) = await tried(bench, Gate("g", kind), changes=UNKNOWN)
    assert note.verdict == "unrun"


@pytest.mark.parametrize("kind", [GateKind.BLAST_RADIUS, GateKind.NO_OP])
async def test_a_whole_convoy_is_not_measured(bench: Bench, kind: GateKind) -> None:
    (note,) = await tried(bench, Gate("g", kind))
    assert note.verdict == "unrun"


SCAN = Gate("secrets", GateKind.SECRET_SCAN)


async def test_a_secret_in_a_changed_file_blocks_and_is_not_told(bench: Bench) -> None:
    bench.write("a", f"one\nkey = {KEY}\n")
    bench.write("b", f"{KEY}\n")
    (note,) = await tried(bench, SCAN, changes=Changes(1, 1, ("a",)))
    assert note.verdict == "blocked"
    assert note.text.endswith(" in a:2")
    assert KEY not in str(note)


async def test_a_secret_in_the_words_blocks(bench: Bench) -> None:
    bench.log.write_text(f"fine\n{KEY}\n")
    (note,) = await tried(bench, SCAN, changes=Changes())
    assert (note.verdict, note.text.partition(" in ")[2]) == ("blocked", "what it said:2")


async def test_what_a_task_owns_is_searched_also_where_it_has_not_changed(bench: Bench) -> None:
    bench.write("src/a", KEY)
    (note,) = await tried(bench, SCAN, changes=Changes(), owned=("src",))
    assert note.text == "found aws-key-id in src/a:1"


async def test_a_convoy_is_searched_as_a_whole(bench: Bench) -> None:
    (note,) = await tried(bench, SCAN)
    assert note.verdict == "passed"
    bench.write("deep/in/it", KEY)
    (note,) = await tried(bench, SCAN)
    assert note.text.endswith("deep/in/it:1")


async def test_links_to_secrets_and_files_that_are_gone_are_no_secrets(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    (bench.folder / "link").symlink_to(tmp_path / "key")
    (note,) = await tried(bench, SCAN, changes=Changes(1, 2, ("gone", "link")))
    assert note.verdict == "passed"


async def test_what_is_too_large_to_be_searched_has_not_passed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("large", b"x" * ((1 << 20) + 1))
    (note,) = await tried(bench, SCAN, changes=Changes(1, 1, ("large",)))
    assert (note.verdict, note.text) == ("unrun", "large is too much to search")
    monkeypatch.setattr(builtin, "MOST_TOGETHER", 10)
    bench.write("a", "123456")
    bench.write("b", "123456")
    (note,) = await tried(bench, SCAN, changes=Changes(1, 2, ("a", "b")))
    assert (note.verdict, note.text) == ("unrun", "b is too much to search")


async def test_a_secret_scan_sees_only_as_many_files_as_are_on_record(bench: Bench) -> None:
    (note,) = await tried(bench, SCAN, changes=Changes(1, 5, ("a",)))
    assert note.verdict == "unrun"
