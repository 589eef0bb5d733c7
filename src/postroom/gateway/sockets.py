"""Where the gateway listens: TCP, or a Unix socket that only its owner can reach."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..store.errors import BadInput
from ..telemetry.listener import CannotListen

BACKLOG = 1024
LONGEST_PATH = 107
"""Bytes that the system takes for the path of a Unix socket."""


@contextmanager
def listen_unix(path: Path) -> Generator[socket.socket]:
    """A listening Unix socket with mode 0600, whose file goes away with it.

    A socket file that nobody listens on any more is replaced; everything else is left alone. The umask
    is set for a moment, so there must be no other threads yet. Raises ``CannotListen``, ``BadInput``.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise BadInput(
            "the path of the socket is too long", f"at most {LONGEST_PATH} bytes", "choose a shorter one"
        )
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            _clear(path)
            _bind(listener, path)
        except OSError as error:
            raise _refused(path, os.strerror(error.errno or errno.EIO).lower()) from error
        made = path.lstat()
        try:
            listener.listen(BACKLOG)
            yield listener
        finally:
            if _is_still(path, made):
                path.unlink()


def _bind(listener: socket.socket, path: Path) -> None:
    """Make the socket's file, private from its first moment. Fails if there is one already."""
    before = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    finally:
        os.umask(before)


def _clear(path: Path) -> None:
    """Remove a socket file that nobody listens on. Raises ``CannotListen`` for anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _refused(path, "there is something else than a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a listener whose queue is full is one all the same
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            if _is_still(path, found):
                path.unlink()
            return
        except BlockingIOError:
            pass
    raise _refused(path, "somebody listens there")


def _is_still(path: Path, found: os.stat_result) -> bool:
    try:
        now = path.lstat()
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (found.st_dev, found.st_ino)


def _refused(path: Path, why: str) -> CannotListen:
    return CannotListen(f"cannot listen on {path}", why, "stop what uses it, or choose another with --socket")
