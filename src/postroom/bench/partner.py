"""A second process of a row, spoken to in lines."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

import msgspec


class Partner:
    """A part running in its own process; it is killed when the block ends.

    Raises ``RuntimeError`` if it ends before it has said what is asked of it.
    """

    def __init__(self, part: str, settings: dict[str, str]) -> None:
        self._name = part
        command = [sys.executable, "-P", "-m", "postroom.bench.child", "part", part]
        self._process = subprocess.Popen(
            [*command, msgspec.json.encode(settings).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def hear(self) -> str:
        """The next line it says; waits for it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the part {self._name} ended too early")
        return line.strip()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
