"""Real processes for tests: start one of the crew, read what it tells, signal it, see it end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

CREW = Path(__file__).with_name("crew.py")


class Silent(AssertionError):
    """A child did not tell in time what was waited for."""


class Child:
    """One process of the crew. As a context manager it is certainly gone afterwards."""

    def __init__(self, *words: str) -> None:
        path = [str(CREW.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.born = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, str(CREW), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
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
