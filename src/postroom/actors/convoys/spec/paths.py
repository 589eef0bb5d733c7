"""Paths in a convoy file: where they lead is known from the text, and never out of their folder."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

from ..blanks import BLANK, Path
from ..work.paths import leads_out
from .faults import Faults

_GLOB = frozenset("*?[]")


def check_folder(folder: str, path: Path, faults: Faults) -> bool:
    """Whether there is such a folder; a fault if not, as nobody makes it for a run."""
    if os.path.isdir(folder):  # noqa: PTH112  # Path raises for a long name
        return True
    what = "not a folder" if os.path.exists(folder) else "no such folder"  # noqa: PTH110  # as above
    faults.add(path, f"{what}: {folder}", "create it before the run, or name another")
    return False


def check_within(text: str, folder: str, path: Path, faults: Faults) -> str:
    """A path in its plain form, such as ``src/app.py``; a fault if it may lead out of ``folder``."""
    plain = str(pathlib.PurePosixPath(text))
    if BLANK.search(text):
        faults.add(path, f"{text} is not known before the task starts", "write the path itself")
    elif text.startswith("/"):
        faults.add(path, f"{text} is absolute", "name it from the convoy's folder")
    elif ".." in pathlib.PurePosixPath(text).parts:
        faults.add(path, f"{text} has .. in it", "name it from the convoy's folder")
    elif _GLOB & set(text):
        faults.add(path, f"{text} is a pattern", "name each file or folder")
    elif plain == ".":
        faults.add(path, f"{text!r} is the whole folder", "name what is in it")
    elif leads_out(folder, plain):
        faults.add(path, f"{text} leads out of {folder} by a symlink", "name what is in it")
    return plain


def check_files(files: Iterable[str], folder: str, path: Path, faults: Faults) -> tuple[str, ...]:
    """The files that a task owns, each once."""
    plain: list[str] = []
    for n, text in enumerate(files):
        file = check_within(text, folder, (*path, n), faults)
        if file in plain:
            faults.add((*path, n), f"{file} is named twice", "name it once")
        plain.append(file)
    return tuple(plain)
