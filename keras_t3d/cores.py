"""How many cores this process may use."""

from __future__ import annotations

import os
import pathlib

_QUOTA = pathlib.Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Returns the cores that the process is let run on, a container's limit included.

    `os.cpu_count` counts the machine's, and that many threads on two cores of sixty wait for
    one another.

    Reference:
        https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        return max(min(cores, round(int(quota) / int(period))), 1)
    except (OSError, ValueError):  # no such file, or "max"
        return cores
