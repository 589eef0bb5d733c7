"""Real processes for tests: start one of the crew, read what it tells, signal it, see it end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

CREW = Path(__file__).with_name("crew.py")
COMMAND_LINE = ("-m", "postroom")
"""What to give Python so that it is no member of the crew but the command itself."""


class Silent(AssertionError):
    """A child did not tell in time what was waited for."""


class Child:
    """One process, of the crew unless another program is named. As a context manager it is certainly
    gone afterwards.
    """

    def __init__(
        self,
        *words: str,
        program: Sequence[str] = (str(CREW),),
        errors: bool = False,
        log: Path | None = None,
    ) -> None:
        """``errors`` are to be among what it tells, or are appended to a ``log``, or go where ours go."""
        self.born = time.monotonic()
        with ExitStack() as stack:
            elsewhere = stack.enter_context(log.open("ab")) if log else None
            self._begin([sys.executable, *program, *words], subprocess.STDOUT if errors else elsewhere)

    def _begin(self, command: Sequence[str], errors: int | IO[bytes] | None) -> None:
        path = [str(CREW.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._rest = b""

    def fileno(self) -> int:
        """Readable when it has told something or is gone."""
        return self._stdout.fileno()

    def events(self) -> list[dict[str, Any]]:
        """What it has told since the last call."""
        chunks = [self._rest]
        while chunk := self._stdout.read():
            chunks.append(chunk)
        *lines, self._rest = b"".join(chunks).split(b"\n")
        return [json.loads(line) for line in lines]

    def expect(self, event: str, within: float = 20.0) -> dict[str, Any]:
        """Wait for an event, passing over others. Raises ``Silent``."""
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            select.select([self], [], [], left)
            found = self.events()
            for told in found:
                if told["event"] == event:
                    return told
            if not found and self.process.poll() is not None:
                break
        raise Silent(f"{self.process.args!r} did not tell {event!r}; exit code {self.process.poll()}")

    def kill(self) -> None:
        """SIGKILL it; it is gone, and reaped, when this returns."""
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """SIGSTOP it; it stands still, or is gone, when this returns."""
        self.process.send_signal(signal.SIGSTOP)
        if self.process.poll() is None:
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def go_on(self) -> None:
        """SIGCONT it."""
        self.process.send_signal(signal.SIGCONT)

    def text(self) -> str:
        """All that it has said, for a program that tells no events; complete once it has ended."""
        while chunk := self._stdout.read():
            self._rest += chunk
        return self._rest.decode()

    def say(self, text: str) -> None:
        """Give it all of its standard input."""
        self._stdin.write(text.encode())
        self._stdin.close()

    def order(self) -> None:
        """Give the order to stop, or to go on with what it holds back."""
        self._stdin.close()

    def ended(self, within: float = 20.0) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(within)

    def close(self) -> None:
        """Make sure it is gone."""
        if self.process.poll() is None:
            self.kill()
        self._stdin.close()
        self._stdout.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
