"""Which process is it, and is it gone? Process ids alone are reused; with start times they are not."""

from __future__ import annotations

import os
from pathlib import Path


def this_process() -> str:
    """Boot id, pid namespace, pid and start time of this process, in one word."""
    pid = os.getpid()
    return f"{_boot_id()}:{_namespace()}:{pid}:{_start_time(pid)}"


def is_gone(process: str) -> bool:
    """Whether a process named by ``this_process`` has certainly ended.

    A process of another pid namespace cannot be seen from here: the answer is then False, and its
    leases come back when its session lapses.
    """
    try:
        boot_id, namespace, pid, started = process.split(":")
    except ValueError:
        return False
    if boot_id != _boot_id():
        return True
    if namespace != _namespace():
        return False
    return _start_time(int(pid)) != started


def is_gone_here(process: str) -> bool:
    """The same where several machines share a store: of a process of another machine nobody here can tell."""
    return process.split(":")[0] == _boot_id() and is_gone(process)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink()).removeprefix("pid:[").removesuffix("]")


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat; None when there is no such process or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]
