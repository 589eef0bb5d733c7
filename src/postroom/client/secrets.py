"""Bearer tokens: where one is found, and that nobody sees it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from ..store.errors import BadInput

VARIABLE = "POSTROOM_TOKEN"
LONGEST = 4096

_form = re.compile(r"[\x21-\x7e]{1,4096}").fullmatch


class Secret:
    """A text that is not shown by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"


def find_token(
    token: str | Secret | None, file: str | os.PathLike[str] | None, environment: str | None
) -> Secret | None:
    """The token given, else the one in a file, else the environment's; None if there is none.

    Raises ``BadInput`` for two at once, for text that is no token, and for a file that others can read;
    no error holds any of the token.
    """
    if token is not None and file is not None:
        raise BadInput("both a token and a token file", "one of them is to be used", "leave one out")
    if isinstance(token, Secret):
        return token
    if token is not None:
        return _checked(token, "the token")
    if file is not None:
        return _read(Path(file).expanduser())
    return None if environment is None else _checked(environment, VARIABLE)


def _read(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise BadInput(f"{path} is no file", "a token is kept in one", "name another")
            if found.st_mode & 0o077:
                mode = f"its mode is {stat.S_IMODE(found.st_mode):04o}"
                raise BadInput(f"others can read the token in {path}", mode, f"run: chmod 600 {path}")
            data = file.read(LONGEST + 2)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BadInput(f"cannot read the token in {path}", why, "name another file") from error
    return _checked(data.decode("latin-1").removesuffix("\n"), f"what is in {path}")


def _checked(text: str, name: str) -> Secret:
    if not _form(text):
        raise BadInput(
            f"{name} is no token", "a token is one word of ASCII", "see: postroom token create --help"
        )
    return Secret(text)
