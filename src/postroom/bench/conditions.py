"""The circumstances of a run, without which its figures mean nothing."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import apsw

from .figures import quantile
from .rows import Params

SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread gives the interpreter to another. Set by the entry only."""

IN_MEMORY = ("tmpfs", "ramfs")


def conditions(params: Params, switch_interval: float) -> dict[str, object]:
    """Software, machine, disk and sizes of this run; takes about half a second (the fsync rate)."""
    load = os.getloadavg()
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "postroom": _version("postroom"),
        "trio": _version("trio"),
        "apsw": apsw.apsw_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": [round(each, 2) for each in load],
        "kernel": platform.release(),
        "directory": params.directory,
        "filesystem": filesystem(Path(params.directory)),
        "fsyncs_per_s": round(fsync_rate(Path(params.directory))),
        "durability": "WAL, synchronous=FULL",
        "switch_interval_s": switch_interval,
        "senders": params.senders,
        "body_bytes": params.body_bytes,
        "seconds_per_row": params.seconds,
        "rounds": params.rounds,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "argv": sys.argv[1:],
    }


def filesystem(directory: Path) -> str:
    """The type of the file system that holds ``directory``, as the kernel names it."""
    target = os.path.realpath(directory)
    found, depth = "unknown", -1
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode().decode("unicode_escape")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= depth:
            found, depth = right.split(" ")[0], len(point)
    return found


def fsync_rate(directory: Path, seconds: float = 0.4) -> float:
    """How often a second 4 KiB can be appended and synced; the reciprocal of the median."""
    path = directory / "fsync.probe"
    block = bytes(4096)
    samples: list[float] = []
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            os.write(handle, block)
            os.fdatasync(handle)
            samples.append(time.perf_counter() - began)
    finally:
        os.close(handle)
        path.unlink()
    return 1 / quantile(samples, 0.5) if samples else 0.0


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
