"""Where in its text each table, key and item of a TOML file is. The text has been read: it is TOML."""

from __future__ import annotations

import re
import tomllib
from collections import Counter

from ..blanks import Path

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*+")
_PART = re.compile(r"""[ \t]*+(?P<part>[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+""")
_TEXT = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'",
    re.DOTALL,
)
_OTHER = re.compile(r"[^\[\]{},#\n]++")
"""Numbers, dates and truth: none of them has a character in it that means something here."""


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, where each path of keys and positions begins, such as ``("tasks", "a", "env")``."""
    scan = _Scan(text)
    scan.file()
    return scan.found


class _Scan:
    """One way through a text; ``at`` is how far it has come. ``found`` is what it has come past."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line, self._counted = 1, 0
        self._lists: Counter[Path] = Counter()
        self.found: dict[Path, int] = {}

    def file(self) -> None:
        """Headers and keys up to the end."""
        table: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._here("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip()

    def _header(self) -> Path:
        many = self._here("[[")
        self._at += 2 if many else 1
        path = self._whole(self._key(), self._line_here())
        self._at += 2 if many else 1
        if many:
            path = (*path, self._lists[path])
            self._lists[path[:-1]] += 1
        self.found[path] = self._line_here()
        return path

    def _whole(self, keys: list[str], line: int) -> Path:
        """The path of a header: a list of tables that it goes through means the last of them."""
        path: Path = ()
        for n, key in enumerate(keys):
            path = (*path, key)
            self.found.setdefault(path, line)
            if n < len(keys) - 1 and path in self._lists:
                path = (*path, self._lists[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line_here()
        for key in self._key():
            table = (*table, key)
            self.found.setdefault(table, line)
        self._at += 1  # the equals sign
        self._skip()
        self._value(table)

    def _value(self, path: Path) -> None:
        if self._here("["):
            self._items(path)
        elif self._here("{"):
            self._inline(path)
        else:
            match = _TEXT.match(self._text, self._at) or _OTHER.match(self._text, self._at)
            assert match is not None, "the text has been read before"
            self._at = match.end()

    def _items(self, path: Path) -> None:
        self._at += 1
        self._skip()
        n = 0
        while not self._here("]"):
            self.found[*path, n] = self._line_here()
            self._value((*path, n))
            n += 1
            self._skip_comma()
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        self._skip()
        while not self._here("}"):
            self._pair(path)
            self._skip_comma()
        self._at += 1

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            match = _PART.match(self._text, self._at)
            assert match is not None, "the text has been read before"
            parts.append(_meaning(match["part"]))
            self._at = match.end()
            if not self._here("."):
                return parts
            self._at += 1

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None, "it can be nothing"
        self._at = match.end()

    def _skip_comma(self) -> None:
        self._skip()
        if self._here(","):
            self._at += 1
            self._skip()

    def _here(self, mark: str) -> bool:
        return self._text.startswith(mark, self._at)

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line


def _meaning(part: str) -> str:
    """What a part of a key says, without its quotes and escapes."""
    if part[0] == "'":
        return part[1:-1]
    return str(tomllib.loads(f"x = {part}")["x"]) if part[0] == '"' else part
