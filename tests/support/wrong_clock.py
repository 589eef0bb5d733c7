"""Runs a program on a machine whose clock is wrong: ``wrong_clock.py SECONDS PROGRAM [ARGUMENT...]``.

Both clocks that postroom asks are so many seconds ahead, or behind; the program is a file or ``-m MODULE``.
"""

from __future__ import annotations

import runpy
import sys
import time


def shift(seconds: float) -> None:
    """Let this process believe that it is so much later."""
    nanos = round(seconds * 1e9)
    wall, asked = time.time_ns, time.clock_gettime_ns
    time.time_ns = lambda: wall() + nanos
    time.time = lambda: time.time_ns() / 1e9
    time.clock_gettime_ns = lambda clock: asked(clock) + (nanos if clock == time.CLOCK_BOOTTIME else 0)


def main() -> None:
    shift(float(sys.argv[1]))
    del sys.argv[:2]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
