"""Files that a command writes beside its answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..store.errors import BadInput


@contextmanager
def written(path: str | None, option: str) -> Generator[IO[bytes] | None, None, None]:
    """The file that an option names, if it does. Raises ``BadInput`` if it cannot be opened for writing."""
    if path is None:
        yield None
        return
    try:
        file = Path(path).open("wb")  # noqa: SIM115  # what its opening raises is told apart from the rest
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(f"cannot write {path}", why, f"choose another with {option}") from error
    with file:
        yield file
