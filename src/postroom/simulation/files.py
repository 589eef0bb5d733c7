"""What people write for a simulation: TOML files, read within bounds and put into records."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..mailbox import toml
from ..store.errors import BadInput, one_line

T = TypeVar("T")


def read(path: Path, named: str, missing: BadInput) -> dict[str, Any]:
    """The table of the file that people call ``named``. Raises ``missing`` if there is none, ``BadInput``."""
    try:
        return toml.parse(toml.read_bytes(path).decode())
    except FileNotFoundError as error:
        raise missing from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{named} is not TOML", str(error), "repair that line") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {named}", one_line(error), "name another file") from error


def converted(table: dict[str, Any], kind: type[T], named: str) -> T:
    """A table as a record of a kind. Raises ``BadInput`` with the path of the key that is wrong."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at ")
        key = path.strip("`").removeprefix("$").lstrip(".") or "the file itself"
        raise BadInput(f"{named}: {key}", what, "correct that key") from error
