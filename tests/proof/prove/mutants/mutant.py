"""One deliberate break, and the copy of the project that it is made in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[4]
COPIED = ("src", "tests", "examples", "pyproject.toml")
LEFT_OUT = ("__pycache__", "*.egg-info", "*.pyc")
FAILED, PASSED = 1, 0
"""Exit codes of pytest: some test failed; all passed. Any other is no answer."""

RUN_SECONDS = 300.0
"""After this a test run is taken for hung, which is no answer either."""


class Mutant(NamedTuple):
    """Replace ``old`` by ``new`` in ``file`` (below ``src/postroom``): that ``breaks`` something.

    ``caught_by`` is the node id of the test that must fail then, below ``tests``.
    """

    name: str
    file: str
    old: str
    new: str
    breaks: str
    caught_by: str


class Verdict(NamedTuple):
    """How the named test ended: pytest's exit code, and the last of what it said."""

    code: int
    said: str


class Copy:
    """A copy of the project in which code may be broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, mutant: Mutant) -> Path:
        return self.folder / "src" / "postroom" / mutant.file

    @contextmanager
    def broken(self, mutant: Mutant) -> Generator[None]:
        """The copy with this break, as long as the block lasts. Raises ``ValueError`` if it does not fit."""
        place = self.place(mutant)
        whole = place.read_text()
        if whole.count(mutant.old) != 1:
            raise ValueError(
                f"{mutant.name}: its old text is {whole.count(mutant.old)} times in {mutant.file}"
            )
        place.write_text(whole.replace(mutant.old, mutant.new))
        try:
            yield
        finally:
            place.write_text(whole)

    def test(self, nodes: Sequence[str]) -> Verdict:
        """Run these tests on the copy as it is, in a process of its own."""
        quiet = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"]
        command = [sys.executable, "-m", "pytest", *quiet]
        environ = {
            **os.environ,
            "PYTHONPATH": str(self.folder / "src"),
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            done = subprocess.run(
                [*command, *(f"tests/{node}" for node in nodes)],
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict(-1, "the tests did not end")
        return Verdict(done.returncode, done.stdout[-2000:] + done.stderr[-500:])


@contextmanager
def copied() -> Generator[Copy]:
    """A throw-away copy of the project."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="mutants-", dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        for what in COPIED:
            source = ROOT / what
            if source.is_dir():
                shutil.copytree(source, folder / what, ignore=shutil.ignore_patterns(*LEFT_OUT))
            else:
                shutil.copy(source, folder / what)
        yield Copy(folder)
