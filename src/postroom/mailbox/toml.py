"""TOML that people wrote, read within bounds: the standard reader takes hours for some small files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from .codec import HIGHEST, LOWEST, MAX_BYTES, MAX_DEPTH

_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
# The reader's time grows with the square of a key's parts.
_long_key = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_DEPTH}}}").search


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """What a file holds, up to just past the bytes that ``parse`` takes. Raises ``OSError``."""
    with path.open("rb") as file:
        return file.read(most + 1)


def parse(text: str, most: int = MAX_BYTES) -> dict[str, Any]:
    """The table that a text stands for, of ``most`` characters.

    Raises ``tomllib.TOMLDecodeError`` for what is no TOML, and for what is beyond a body's limits
    too: 1 MiB if nothing else is said, 64 levels, integers of 63 bits and a sign.
    """
    if len(text) > most:
        raise tomllib.TOMLDecodeError(f"longer than {most} bytes")
    if _long_key(text):
        raise _too_deep()
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # an integer of very many digits
        raise tomllib.TOMLDecodeError(f"a value that is too large: {error}") from error
    _check(table)
    return table


def _check(table: dict[str, Any]) -> None:
    """The same limits for what has been read, level by level."""
    level: list[Any] = [table]
    for _ in range(MAX_DEPTH):
        level = [item for holder in level for item in _inside(holder)]
        for item in level:
            if isinstance(item, int) and not LOWEST <= item <= HIGHEST:
                raise tomllib.TOMLDecodeError("an integer beyond 63 bits")
        if not level:
            return
    raise _too_deep()


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # any TOML
    return value if isinstance(value, list) else ()  # pyright: ignore[reportUnknownVariableType]  # any TOML


def _too_deep() -> tomllib.TOMLDecodeError:
    return tomllib.TOMLDecodeError(f"nested too deep: at most {MAX_DEPTH} levels are taken")
