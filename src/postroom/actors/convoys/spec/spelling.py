"""Names of files that differ only by upper and lower case: on some file systems they are one file."""

from __future__ import annotations

import os

from ..plan import Convoy
from .faults import Faults
from .overlaps import folders


def check_spelling(convoy: Convoy, faults: Faults) -> None:
    """Where case is not told apart, note each file that is spelled in two ways: owners are found by names."""
    if tells_case_apart(convoy.folder):
        return
    known: dict[str, str] = {}
    for task in convoy.tasks:
        for n, file in enumerate(task.files):
            for path in (file, *folders(file)):
                first = known.setdefault(path.casefold(), path)
                if first != path:
                    what = f"{path} is {first}: in {convoy.folder} upper and lower case are the same"
                    faults.add(("tasks", task.id, "files", n), what, f"write {first}")
                    break


def tells_case_apart(folder: str) -> bool:
    """Whether ``A`` and ``a`` are two names in a folder, as what is in it shows; nothing is changed.

    A folder that shows nothing is taken for one in which they are, as they mostly are.
    """
    try:
        names = set(os.listdir(folder))  # noqa: PTH208  # as bare names
    except OSError:
        return True
    for name in names:
        other = name.swapcase()
        if other != name and other not in names and name.isascii():
            return not os.path.lexists(f"{folder}/{other}")
    return True
