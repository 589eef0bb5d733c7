"""What tests of convoys share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from convoy_files import Folder
from convoy_shells import ConvoyShell


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder for one convoy file."""
    return Folder(tmp_path)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[ConvoyShell]:
    """Postroom as processes, in a folder of their own."""
    made = ConvoyShell(tmp_path)
    yield made
    made.end()
