"""From the bytes of a convoy file to its table, or to the one fault of a text that is no TOML."""

from __future__ import annotations

import codecs
import pathlib
import re
import tomllib

from ....mailbox import toml
from ....store.errors import BadInput
from .faults import BadFile, Fault
from .shapes import Table

LONGEST = 16 * 1024 * 1024
"""Bytes of a convoy file. People write less than a tenth of it, but a large convoy that is written out
with all its values must be one that can be read again."""

_POSITION = re.compile(r"(.*) \(at line (\d+), column (\d+)\)")
_AT_END = " (at end of document)"


def parsed(file: pathlib.Path) -> tuple[str, Table]:
    """What a file says, as a text and as a table.

    Raises ``BadInput`` if it cannot be read, and ``BadFile`` if it is no TOML or beyond its limits.
    """
    try:
        raw = toml.read_bytes(file, LONGEST).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise BadInput(f"cannot read {file}", why, "name a convoy file") from error
    try:
        text = raw.decode()
        return text.replace("\r\n", "\n"), toml.parse(text, LONGEST)
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        fault = _fault_after(before, "not UTF-8", "save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        fault = _syntax_fault(str(error), raw.decode())
    raise BadFile(str(file), (fault,))


def _syntax_fault(message: str, text: str) -> Fault:
    found = _POSITION.fullmatch(message)
    if found:
        what, line, column = found.groups()
        return Fault(f"column {column}", f"not TOML: {_uncapitalised(what)}", "mend that line", int(line))
    if message.endswith(_AT_END):
        what = _uncapitalised(message.removesuffix(_AT_END))
        return _fault_after(text, f"not TOML: {what}", "the file ends too early")
    return Fault("", message, "make it smaller")


def _fault_after(before: str, what: str, do: str) -> Fault:
    """A fault at what follows this text; columns count from 1."""
    lines = before.split("\n")
    return Fault(f"column {len(lines[-1]) + 1}", what, do, len(lines))


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]
