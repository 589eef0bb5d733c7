"""A temporary folder that goes away with its owner, however that one ends, and takes a process along."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

KEEPER = """
while read -r told; do process=$told; done
if [ "$process" ]; then
    kill -QUIT "$process"
    kill -CONT "$process"
    while grep -q . "/proc/$process/cmdline"; do sleep 0.02; done
fi
rm -rf "$1"
"""
"""Reads which process to end until the pipe breaks, as it does when the owner is killed. A process that is
stopped is woken to hear of it; one that is dead and unburied has no command line any more."""


class KeptFolder:
    """The folder, and a shell that is no child of the owner's terminal and outlives the owner to clean up."""

    def __init__(self, prefix: str, place: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    @property
    def keeper(self) -> int:
        """The process that cleans up; when it is over, nothing is left."""
        return self._keeper.pid

    def guard(self, process: int | None) -> None:
        """Name the one process that must not outlive the folder, or none."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{process or ''}\n".encode())
        self._keeper.stdin.flush()

    def close(self) -> None:
        """End what is guarded and remove the folder; both are gone when this returns."""
        assert self._keeper.stdin is not None
        with suppress(BrokenPipeError):
            self._keeper.stdin.close()
        self._keeper.wait()
        if self.path.exists():  # somebody killed the keeper
            shutil.rmtree(self.path)

    def __enter__(self) -> KeptFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
