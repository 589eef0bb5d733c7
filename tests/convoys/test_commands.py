"""Commands run in a process group of their own, which ends as a whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import trio

from postroom.actors.convoys import commands
from postroom.actors.convoys.plan import Task


def shell(line: str, cwd: Path, **env: str) -> Task:
    return Task("build", str(cwd), command=("sh", "-c", line), env=env)


async def run(task: Task, log: Path) -> int:
    return await commands.run_command(task, run="run-1", attempt=2, log=log)


async def test_a_command_answers_its_exit_status_and_leaves_its_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert await run(shell("echo out; echo err >&2; exit 3", tmp_path), log) == 3
    assert log.read_text() == "out\nerr\n"


async def test_a_command_sees_its_marks_and_its_own_settings(tmp_path: Path) -> None:
    log = tmp_path / "log"
    line = "echo $POSTROOM_RUN $POSTROOM_TASK $POSTROOM_ATTEMPT $GREETING; pwd"
    await run(shell(line, tmp_path, GREETING="hello"), log)
    assert log.read_text().splitlines() == ["run-1 build 2 hello", str(tmp_path)]


async def test_the_programs_beside_this_python_are_found_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    await run(shell("command -v python3", tmp_path), log)
    assert log.read_text().strip() == sys.executable.rpartition("/")[0] + "/python3"


async def test_a_program_that_is_gone_is_an_error_of_the_system(tmp_path: Path) -> None:
    task = Task("build", str(tmp_path), command=("./gone",))
    with pytest.raises(FileNotFoundError):
        await run(task, tmp_path / "log")


async def _started(log: Path, words: int) -> list[str]:
    """The first words of a log, once they are there."""
    with trio.fail_after(10):
        while len(found := _words(log)) < words:
            await trio.lowlevel.checkpoint()
    return found


def _words(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


async def _gone(*pids: int) -> None:
    with trio.fail_after(10):
        for pid in pids:
            while _alive(pid):
                await trio.lowlevel.checkpoint()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


async def test_a_cancelled_command_ends_with_all_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, shell("sleep 60 & echo $! $$; wait", tmp_path), log)
        pids = [int(pid) for pid in await _started(log, 2)]
        assert all(map(_alive, pids))
        nursery.cancel_scope.cancel()
    await _gone(*pids)


async def test_a_command_that_ignores_the_first_signal_gets_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "KILL_AFTER", 0.05)
    log = tmp_path / "log"
    async with trio.open_nursery() as nursery:
        line = "trap '' TERM; echo $$; while :; do sleep 0.05; done"
        nursery.start_soon(run, shell(line, tmp_path), log)
        (pid,) = map(int, await _started(log, 1))
        nursery.cancel_scope.cancel()
    await _gone(pid)


async def test_what_a_killed_run_left_behind_is_found_by_its_mark(tmp_path: Path) -> None:
    task = shell("sleep 60 & exec sleep 60", tmp_path)
    env = commands.environment(task, "run-1", 1)
    process = await trio.lowlevel.open_process(task.command, env=env, start_new_session=True)
    try:
        assert commands.kill_leftovers("run-2") == 0
        with trio.fail_after(10):
            while commands.kill_leftovers("run-1") == 0:
                await trio.lowlevel.checkpoint()
            assert await process.wait() < 0
    finally:
        commands.kill_leftovers("run-1")
