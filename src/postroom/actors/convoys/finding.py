"""Finding a run by what a person calls it: its id, the beginning of that, or the file it is of."""

from __future__ import annotations

from pathlib import Path

from ...store.errors import BadInput, Refused
from .entering import RunRecord
from .ledger import Ledger
from .spec.reading import whole_path

FILE_ENDING = ".toml"
SEE = "see: postroom runs"


class UnknownRun(Refused):
    """No run is called so."""

    code = "unknown_run"


def find_run(ledger: Ledger, text: str) -> RunRecord:
    """The run with this id, or the one whose id begins so, or the newest of this convoy file.

    Raises ``UnknownRun``, and ``BadInput`` where several ids begin so.
    """
    if text.endswith(FILE_ENDING) or "/" in text:
        newest = ledger.newest(str(whole_path(Path(text))), unfinished=False)
        if newest is None:
            raise UnknownRun(f"{text} has no run", "nobody has run it on this store", SEE)
        return newest
    found = [run for run in ledger.runs() if text and run.id.startswith(text)]
    if len(found) > 1:
        raise BadInput(f"{text} is not one run", f"{len(found)} ids begin so", "give more of the id")
    if not found:
        raise UnknownRun(f"no run is called {text[:60]}", "no id begins so", SEE)
    return found[0]
