"""What a command says, as it says it: to its log and to memory, and of a long speech both ends."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

HALF = 1 << 19
"""Bytes that are kept of the beginning, and as many of the end."""

TAIL = 4096
"""Bytes of the end of what was said that go further than the log."""


class Heard:
    """The words of one command. A command that never stops to speak fills neither disk nor memory.

    The beginning is in the log as soon as it is said; the end, if there is something between them, when
    this is closed, after a line that tells how much is left out. A log that cannot be written is a
    ``fault``, in words for people, and no error: the command goes on. Raises ``OSError`` if the log
    cannot be opened.
    """

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab", buffering=0)
        self._first = bytearray()
        self._last = bytearray()
        self._lost = 0
        self.fault = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, said: bytes) -> None:
        """More words."""
        room = HALF - len(self._first)
        if room > 0:
            self._write(said[:room])
            self._first += said[:room]
            said = said[room:]
        if said:
            self._last += said
            over = max(0, len(self._last) - HALF)
            del self._last[:over]
            self._lost += over

    def close(self) -> None:
        """There are no more words."""
        if not self._log.closed:
            self._write(self._rest())
            self._log.close()

    @property
    def words(self) -> str:
        """All that is kept. Bytes that are no text are replaced."""
        return (bytes(self._first) + self._rest()).decode(errors="replace")

    def _rest(self) -> bytes:
        gap = f"\n[{self._lost} bytes are left out here]\n".encode() if self._lost else b""
        return gap + bytes(self._last)

    def _write(self, words: bytes) -> None:
        try:
            if words:
                self._log.write(words)
        except OSError as error:
            self.fault = f"its log cannot be written: {error.strerror or error}"


def clear(log: Path) -> None:
    """Let a log begin anew."""
    log.unlink(missing_ok=True)


def end_of(text: str) -> str:
    """The last 4 KiB of a text."""
    return text[-TAIL:].encode(errors="replace")[-TAIL:].decode(errors="ignore")


def last_line(text: str) -> str:
    """The last words of a command, which mostly say what was wrong."""
    return next((line.strip() for line in reversed(text.split("\n")) if line.strip()), "")
