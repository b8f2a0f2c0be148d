"""Runs a command and measures its memory, with that of the processes that it starts. Linux only."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import time


def peak_bytes(command: list[str]) -> int:
    """Returns the largest sum of resident memory of a command and its children.

    Raises:
        SystemExit: if the command fails.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        family = [process.pid, *_children(process.pid)]
        peak = max(peak, sum(_resident_bytes(pid) for pid in family))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return peak


def _children(parent: int) -> list[int]:
    found = []
    for thread in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in thread.read_text().split()]
    return found


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
