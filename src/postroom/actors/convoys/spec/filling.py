"""What the blanks of a file stand for while it is read, and which of them stand for nothing."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Mapping
from typing import Any

from ..blanks import BLANK, FILTERS, Path, blanks_in, fill
from .faults import Faults
from .shapes import Table

FOLDER = "convoy.folder"
INPUT = "input."


class Values:
    """What blanks stand for, by their names."""

    def __init__(self, values: Mapping[str, str], faults: Faults) -> None:
        self._values = dict(values)
        self._faults = faults

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def filled(self, value: Any, path: Path, own: Collection[str] = ()) -> Any:
        """``value`` with its blanks filled in. Those that ``own`` names are left for the run to fill."""
        for where, blank in blanks_in(value, path):
            for name in blank.filters:
                if name not in FILTERS:
                    self._faults.add(where, f"no filter is named {name}", self._faults.hint(name, FILTERS))
            wrong = self._faults.touch(tuple(blank.name.split(".")))
            if blank.name not in self._values and blank.name not in own and not wrong:
                do = self._faults.hint(blank.name, (*self._values, *own))
                self._faults.add(where, f"nothing is named {blank.name}", do)
        return fill(value, self._values, str)


def values_of(
    declared: Table, settings: Mapping[str, str], given: str, beside: pathlib.Path, faults: Faults
) -> tuple[str, Values]:
    """The folder of a convoy, absolute, and all that blanks stand for in the rest of its file.

    ``given`` is what the file says its folder is, from ``beside``; empty means that folder itself.
    """
    raw = {key: _as_text(value) for key, value in declared.items()}
    for key, value in settings.items():
        if key not in raw:
            do = faults.hint(key, raw) or "declare it under [input]"
            faults.add(("input", key), "set, but the file declares no such input", do)
        raw[key] = value if _can_be_passed(value) else ""
        if raw[key] != value:
            faults.add(("input", key), "set to what is no UTF-8, or has NUL in it", "leave that out")
    inputs = {INPUT + key: value for key, value in raw.items()}
    folder = Values(inputs, faults).filled(given, ("convoy", "folder"))
    if BLANK.search(folder):
        faults.add(("convoy", "folder"), "it is named by itself", "use inputs that do not hold convoy.folder")
    whole = str(beside / folder)
    named = Values({FOLDER: whole}, faults)
    for key, value in raw.items():
        inputs[INPUT + key] = named.filled(value, ("input", key))
    return whole, Values({FOLDER: whole, **inputs}, faults)


def _can_be_passed(value: str) -> bool:
    """Whether it is a text: what came on a command line may hold bytes that are no UTF-8."""
    return "\0" not in value and value.encode(errors="ignore").decode() == value


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
