"""Everything that is written for people or programs passes through here, and is harmless then.

A message may hold anything. Characters that a terminal obeys instead of showing (C0, C1, DEL),
that reorder what is read (bidi) or that cannot be seen (zero width) are shown as escapes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import msgspec

_UNSAFE = (
    "\\x00-\\x1f\\x7f-\\x9f"  # C0, DEL, C1
    "\\xad\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff"  # bytes of an argument that were not UTF-8
    "\\U000e0000-\\U000e007f"  # invisible tags
)
UNSAFE = re.compile(f"[{_UNSAFE}]")
_BROKEN = re.compile("[\ud800-\udfff]")


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def escape(value: object) -> str:
    """One line that is safe to show, whatever the value holds."""
    return UNSAFE.sub(_visible, str(value))


def escape_lines(text: str) -> str:
    """Many lines, each safe to show."""
    return "".join(escape(line) + "\n" for line in text.splitlines())


def escape_json(text: str) -> str:
    """The same JSON value, spelled so that a terminal shows it. Only strings can be affected."""
    return UNSAFE.sub(_json_escape, text)


def _toml_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in "\n\t":
        return match[0]
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def json_text(value: Any) -> str:
    """A value as compact JSON on one line. What was no UTF-8, as in a path, reads U+FFFD."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        import json  # which takes what is no UTF-8; hardly anybody has such a name

        text = _BROKEN.sub("\ufffd", json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return escape_json(text)


def brief(value: Any) -> str:
    """The beginning of a value as JSON, for a table."""
    text = json_text(value)
    return text if len(text) <= 60 else text[:59] + "…"


def emit(out: TextIO, document: Any) -> None:
    """Write the one JSON document of a command."""
    out.write(json_text(document) + "\n")
    out.flush()


def toml(out: TextIO, text: str) -> None:
    """Write TOML, its strings all on one line each: the same values, as a terminal can show them."""
    out.write(UNSAFE.sub(_toml_escape, text))
    out.flush()


def lines(out: TextIO, texts: Iterable[str]) -> None:
    """Write lines for a person; each is made safe."""
    out.write("".join(escape(text) + "\n" for text in texts))
    out.flush()


def counted(number: int, what: str) -> str:
    """So many of a thing: ``1 task``, ``2 tasks``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def fields(out: TextIO, pairs: Iterable[tuple[str, object]]) -> None:
    """Write names and values below each other; a value that is None is left out."""
    shown = [(name, value) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    lines(out, (f"{name:<{width}}  {_cell(value)}" for name, value in shown))


def table(out: TextIO, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table: drawn by rich on a terminal, otherwise plain columns that tools can cut."""
    cells = [[escape(_cell(value)) for value in row] for row in rows]
    if out.isatty() and os.environ.get("TERM") != "dumb":
        _rich_table(out, headings, cells)
    else:
        _plain_table(out, headings, cells)
    out.flush()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit() or text == "-"


def _right_aligned(cells: list[list[str]]) -> list[bool]:
    return [all(_is_number(cell) for cell in column) for column in zip(*cells, strict=True)]


def _plain_table(out: TextIO, headings: Sequence[str], cells: list[list[str]]) -> None:
    everything = [list(headings), *cells]
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    right = _right_aligned(cells) or [False] * len(headings)
    for row in everything:
        padded = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        out.write("  ".join(padded).rstrip() + "\n")


def _rich_table(out: TextIO, headings: Sequence[str], cells: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    right = _right_aligned(cells) or [False] * len(headings)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, to_right in zip(headings, right, strict=True):
        drawn.add_column(heading, justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*map(Text, row))
    Console(file=out, no_color="NO_COLOR" in os.environ or None).print(drawn)


def age(seconds: float | None) -> str:
    """A duration as a person says it."""
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def error_document(code: str, what: str, why: str, do: str, **more: Any) -> dict[str, dict[str, Any]]:
    """The JSON form of every error. ``more`` is what only some of them have."""
    return {"error": {"code": code, "what": what, "why": why, "do": do, **more}}
