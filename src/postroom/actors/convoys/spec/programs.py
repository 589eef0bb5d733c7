"""What a convoy is to run is looked up beforehand, so that a typing error is no failure half-way."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..blanks import BLANK
from ..blanks import Path as KeyPath
from ..plan import Convoy, Gate, Hook, Task, Work
from ..work.callables import UnknownCall, resolve
from ..work.commands import environment
from .faults import Faults
from .paths import check_folder
from .shapes import SHELL

LONGEST_WORD = 64
PLAIN_WORD = re.compile(r"[A-Za-z0-9_./+@%-]+")


class Programs:
    """Looks up programs and functions, each once."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._found: dict[tuple[str, str, str], bool] = {}
        self._shell: dict[tuple[str, str], bool] = {}

    def check(self, convoy: Convoy) -> None:
        """Note a fault for each program, function and folder that is not there."""
        for task in convoy.tasks:
            self._task(task, convoy.folder, ("tasks", task.id))
        self._checks(convoy.gates, convoy.hooks, ("convoy",), _Place(convoy.folder, {}, found=True))
        here = _Place(convoy.folder, {}, found=True)
        for agent in convoy.agents:
            self._who(agent.command, agent.call, {"prompt": ""}, ("agents", agent.name), here)
        for n, reviewer in enumerate(convoy.reviewing.reviewers):
            self._who(reviewer.command, reviewer.call, None, ("review", "reviewers", n), here)

    def _task(self, task: Task, folder: str, path: KeyPath) -> None:
        place = _Place(task.cwd, task.env, found=not task.needs)
        if self._faults.touch((*path, "cwd")):
            return
        checked = task.cwd != folder and not task.needs
        if checked and not check_folder(task.cwd, (*path, "cwd"), self._faults):
            return
        self._work(task.work, path, place)
        for n, step in enumerate(task.steps):
            here = (*path, "steps", n)
            self._work(step.work, here, place if n == 0 else place.later())
            self._checks(step.gates, (), here, place.later())
        self._checks(task.gates, task.hooks, path, place.later())

    def _checks(self, gates: Iterable[Gate], hooks: Iterable[Hook], path: KeyPath, place: _Place) -> None:
        for n, gate in enumerate(gates):
            self._command(gate.command, (*path, "gates", n), place)
        for n, hook in enumerate(hooks):
            self._command(hook.command, (*path, "hooks", n, "command"), place)

    def _work(self, work: Work, path: KeyPath, place: _Place) -> None:
        self._who(work.command, work.call, work.arguments, path, place)

    def _who(
        self, command: Sequence[str], call: str, given: Mapping[str, Any] | None, path: KeyPath, place: _Place
    ) -> None:
        if call:
            self._call(call, given, (*path, "call"))
        if command:
            self._command(command, (*path, "command"), place)

    def _call(self, call: str, arguments: Mapping[str, Any] | None, path: KeyPath) -> None:
        """Note a fault if the function is unknown, asynchronous, or does not take the arguments."""
        if BLANK.search(call) or self._faults.touch(path):
            return
        try:
            function = resolve(call)
        except UnknownCall as error:
            self._faults.add(path, str(error), error.do)
            return
        if inspect.iscoroutinefunction(function):
            self._faults.add(path, f"{call} is asynchronous", "name a plain function; it runs in a thread")
            return
        if arguments is None or self._faults.touch((*path[:-1], "arguments")):
            return
        try:
            signature = inspect.signature(function)
        except ValueError:  # some functions written in C tell nothing about their arguments
            return
        try:
            signature.bind(**{**dict.fromkeys({"feedback"} & signature.parameters.keys()), **arguments})
        except TypeError as error:
            self._faults.add((*path[:-1], "arguments"), f"{call}{signature}: {error}")

    def _command(self, command: Sequence[str], path: KeyPath, place: _Place) -> None:
        """Note a fault if the program cannot be found. A file that may be made before is not looked for."""
        if not command or BLANK.search(command[0]) or self._faults.touch(path):
            return
        first, *words = command
        by_shell = (first, *words[:1]) == SHELL and len(words) > 1
        program = _first_word(words[1]) if by_shell else first
        if not program or ("/" in program and not place.found):
            return
        if not self._is_found(program, place) and not (by_shell and self._shell_knows(program, place)):
            where = path if by_shell else (*path, 0)
            self._faults.add(where, f"command not found: {program}", "install it, or correct its name")

    def _is_found(self, program: str, place: _Place) -> bool:
        key = (program, place.cwd if "/" in program else "", place.env.get("PATH", ""))
        if key not in self._found:
            where = str(Path(place.cwd) / program) if "/" in program else program
            self._found[key] = shutil.which(where, path=environment(place.env)["PATH"]) is not None
        return self._found[key]

    def _shell_knows(self, word: str, place: _Place) -> bool:
        """Whether it is one of the shell's own words, such as ``cd`` or ``for``, and there is a shell."""
        if len(word) > LONGEST_WORD or not self._is_found(SHELL[0], place):
            return False
        key = (word, place.env.get("PATH", ""))
        if key not in self._shell:
            asked, env = [*SHELL, 'command -v -- "$1"', "sh", word], environment(place.env)
            done = subprocess.run(asked, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False)
            self._shell[key] = done.returncode == 0
        return self._shell[key]


class _Place:
    """Where a command runs. ``found`` says whether all its files are there before the run begins."""

    def __init__(self, cwd: str, env: Mapping[str, str], *, found: bool) -> None:
        self.cwd = cwd
        self.env = env
        self.found = found

    def later(self) -> _Place:
        """The same once something has been done there."""
        return _Place(self.cwd, self.env, found=False)


def _first_word(line: str) -> str:
    """The program a shell line begins with; empty where that takes a shell to know."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return ""
    return words[0] if words and PLAIN_WORD.fullmatch(words[0]) else ""
