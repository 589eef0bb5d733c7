"""Command lines run in this process, as a person or a script would type them."""

from __future__ import annotations

import io
import sys
from typing import Any

import msgspec
import pytest

from postroom.console.main import main


class Shell:
    """Runs command lines in this process and remembers what the last one wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.out = ""
        self.err = ""

    def run(self, *words: str, stdin: str = "") -> int:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = main(words)
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *words: str, code: int = 0, stdin: str = "") -> Any:
        """Run with ``--json``: standard output is one document and nothing else is written."""
        assert self.run(*words, "--json", stdin=stdin) == code, self.out + self.err
        assert self.err == ""
        assert self.out.count("\n") == 1
        return msgspec.json.decode(self.out)

    def text(self, *words: str, code: int = 0) -> str:
        """Run without ``--json``; what was written for people."""
        assert self.run(*words) == code, self.out + self.err
        return self.out

    def error(self, *words: str, code: int, stdin: str = "") -> str:
        """Run with ``--json`` and without; both ways the same error, whose code is returned."""
        document = self.json(*words, code=code, stdin=stdin)
        assert list(document) == ["error"]
        assert set(document["error"]) == {"code", "what", "why", "do"}
        assert self.run(*words, stdin=stdin) == code
        assert self.out == ""
        assert self.err.count("\n") == 1
        assert document["error"]["what"] in self.err
        return str(document["error"]["code"])
