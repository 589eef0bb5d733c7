"""Commands run in a process group of their own, which ends as a whole."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import trio
from working import alive, gone, words_in

from postroom.actors.convoys.work import commands
from postroom.actors.convoys.work.commands import Ended, environment, marks_of


async def run(line: str, log: Path, stdin: str = "", **env: str) -> Ended:
    seen = environment(env, marks_of("run-1", "build", 2, str(log)))
    return await commands.run_command(("sh", "-c", line), cwd=str(log.parent), env=seen, log=log, stdin=stdin)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def said(log: Path) -> str:
    return log.read_text()


async def test_a_command_answers_its_exit_status_and_leaves_its_words(log: Path) -> None:
    ended = await run("echo out; echo err >&2; exit 3", log)
    assert (ended.code, ended.words, ended.reason) == (3, "out\nerr\n", "exit 3: err")
    assert said(log) == "out\nerr\n"


async def test_a_command_that_says_nothing_and_fails_is_told_by_its_status(log: Path) -> None:
    assert (await run("exit 4", log)).reason == "exit 4"
    assert (await run("kill -9 $$", log)).reason == "killed by SIGKILL"
    assert (
        await run(f"kill -{signal.SIGRTMIN + 3} $$", log)
    ).reason == f"killed by signal {signal.SIGRTMIN + 3}"


async def test_a_command_sees_its_marks_and_its_own_settings(log: Path) -> None:
    line = "echo $POSTROOM_RUN $POSTROOM_TASK $POSTROOM_ATTEMPT $GREETING; pwd"
    await run(line, log, GREETING="hello")
    assert said(log).splitlines() == ["run-1 build 2 hello", str(log.parent)]


def test_no_task_can_hide_the_marks_of_its_run() -> None:
    seen = environment({"POSTROOM_RUN": "other", "A": "b"}, marks_of("run-1", "build", 1, "/logs/b.1.log"))
    assert (seen["POSTROOM_RUN"], seen["A"]) == ("run-1", "b")


async def test_a_command_reads_what_it_is_told(log: Path) -> None:
    assert (await run("wc -c", log, stdin="x" * 1_000_000)).words.strip() == "1000000"


async def test_a_command_need_not_read_what_it_is_told(log: Path) -> None:
    assert (await run("exit 0", log, stdin="x" * 1_000_000)).code == 0


async def test_the_programs_beside_this_python_are_found_first(log: Path) -> None:
    await run("command -v python3", log)
    assert said(log).strip() == sys.executable.rpartition("/")[0] + "/python3"


async def test_a_program_that_is_gone_is_an_error_of_the_system(log: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await commands.run_command(("./gone",), cwd=str(log.parent), env={}, log=log)


async def test_words_are_in_the_log_while_the_command_runs(log: Path) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "echo early; until test -e go; do :; done", log)
        assert await words_in(log, 1) == ["early"]
        (log.parent / "go").touch()


async def test_a_runaway_command_fills_neither_log_nor_memory(log: Path) -> None:
    ended = await run("echo first; yes | head -c 30000000; echo last", log)
    assert ended.code == 0
    assert said(log) == ended.words
    assert len(ended.words) < (1 << 20) + 100
    assert ended.words.startswith("first\ny\n")
    assert ended.words.endswith("y\nlast\n")
    left_out = 30_000_011 - (1 << 20)
    assert f"\n[{left_out} bytes are left out here]\n" in ended.words


FULL_PIPE = """
import fcntl, os
size = fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)
os.write(1, b"x" * size)
os._exit(0)
"""


async def test_what_lies_in_the_pipe_when_a_command_ends_is_heard(log: Path) -> None:
    for _ in range(10):
        command = (sys.executable, "-c", FULL_PIPE)
        ended = await commands.run_command(command, cwd="/", env=environment({}), log=log)
        assert len(ended.words) == 1 << 20


async def test_a_child_that_keeps_the_pipe_does_not_keep_the_attempt(log: Path) -> None:
    with trio.fail_after(10):
        ended = await run("sleep 60 & echo $!; echo done", log)
    assert ended.words.split()[1] == "done"
    assert alive(int(ended.words.split()[0]))
    assert commands.kill_leftovers("run-1", str(log.parent)) == 1


async def test_a_child_that_never_stops_to_speak_does_not_keep_the_attempt(log: Path) -> None:
    with trio.fail_after(10):
        ended = await run("yes & echo $!; test -e /", log)
    assert ended.code == 0
    commands.kill_leftovers("run-1", str(log.parent))


def _fill_up(log: Path) -> None:
    log.symlink_to("/dev/full")


async def test_a_log_that_cannot_be_written_is_no_success(log: Path) -> None:
    _fill_up(log)
    ended = await run("echo words", log)
    assert not ended.well
    assert ended.reason == "its log cannot be written: No space left on device"


async def test_a_cancelled_command_ends_with_all_its_children(log: Path) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "sleep 60 & echo $! $$; wait", log)
        pids = [int(pid) for pid in await words_in(log, 2)]
        assert all(map(alive, pids))
        nursery.cancel_scope.cancel()
    await gone(*pids)


async def test_a_cancelled_command_may_say_its_last_words(log: Path) -> None:
    async with trio.open_nursery() as nursery:
        line = "trap 'yes | head -c 200000; echo bye; exit' TERM; echo ready; while :; do sleep 0.01; done"
        nursery.start_soon(run, line, log)
        await words_in(log, 1)
        nursery.cancel_scope.cancel()
    assert said(log).endswith("y\nbye\n")


async def test_a_command_that_ignores_the_first_signal_gets_the_second(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "KILL_AFTER", 0.05)
    async with trio.open_nursery() as nursery:
        line = "trap '' TERM; (while :; do sleep 0.05; done) & echo $$ $!; while :; do sleep 0.05; done"
        nursery.start_soon(run, line, log)
        pids = [int(pid) for pid in await words_in(log, 2)]
        nursery.cancel_scope.cancel()
    await gone(*pids)


async def test_what_a_killed_run_left_behind_is_found_by_its_mark(tmp_path: Path) -> None:
    log = tmp_path / "build.1.log"
    env = environment({}, marks_of("run-1", "build", 1, str(log)))
    line = ("sh", "-c", "sleep 60 & exec sleep 60")
    process = await trio.lowlevel.open_process(line, env=env, start_new_session=True)
    try:
        assert commands.kill_leftovers("run-2", str(log.parent)) == 0
        assert commands.kill_leftovers("run-1", "/elsewhere") == 0, "a copy of the store has the same runs"
        with trio.fail_after(10):
            while commands.kill_leftovers("run-1", str(log.parent)) == 0:
                await trio.lowlevel.checkpoint()
            assert await process.wait() < 0
    finally:
        commands.kill_leftovers("run-1", str(log.parent))
