"""A folder for one convoy file, and what reading it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from postroom.actors.convoys.plan import Convoy
from postroom.actors.convoys.spec.faults import BadFile
from postroom.actors.convoys.spec.reading import read_convoy


class Folder:
    """A folder for one convoy file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "work.toml"

    def read(
        self, text: str, settings: Mapping[str, str] | None = None, *, processors: int | None = None
    ) -> Convoy:
        self.file.write_text(dedent(text))
        return read_convoy(self.file, settings, processors=processors)

    def refused(self, text: str, settings: Mapping[str, str] | None = None) -> BadFile:
        with pytest.raises(BadFile) as refused:
            self.read(text, settings)
        return refused.value

    def faults(self, text: str, settings: Mapping[str, str] | None = None) -> list[str]:
        return [str(fault) for fault in self.refused(text, settings).faults]

    def lines(self, text: str) -> list[str]:
        """The faults with their lines, without the path of the folder."""
        return [f"{fault.line}: {fault}" for fault in self.refused(text).faults]
