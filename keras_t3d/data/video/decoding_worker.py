"""The other end of a DecodingProcess: it answers tasks that arrive on standard input.

A task is one line of JSON. Messages are lines of JSON on standard output: `{"alive": true}` while
frames are decoded, then the answer. `{"bytes": N, ...}` says that N bytes follow the line.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

Answer = tuple[dict[str, Any], bytes]
Work = Callable[[dict[str, Any], Callable[[], None]], Answer]

_HEARTBEAT = 0.5  # seconds between two messages


def answer_tasks(work: Work) -> None:
    """Answers tasks until standard input ends, as it does when the parent process ends.

    Args:
        work: returns the answer to a task, JSON values and bytes; it calls its second argument
            after every decoded frame.
    """
    # The parent ends this process. A signal to the whole process group must not look like a
    # video that crashes its decoder.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keeps what libraries print apart from the answers
    for line in iter(_lines().get, None):
        try:
            values, content = work(json.loads(line), _heartbeat(pipe))
        except MemoryError:
            values, content = {"reason": "Out of memory"}, b""
        _send(pipe, {**values, "bytes": len(content)} if content else values, content)


def _lines() -> queue.Queue[str]:
    """Returns the lines of standard input; ends the process when it ends, even at work."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _heartbeat(pipe: BinaryIO) -> Callable[[], None]:
    sent = time.monotonic()

    def frame_decoded() -> None:
        nonlocal sent
        if time.monotonic() - sent > _HEARTBEAT:
            sent = time.monotonic()
            _send(pipe, {"alive": True})

    return frame_decoded


def _send(pipe: BinaryIO, values: dict[str, Any], content: bytes = b"") -> None:
    pipe.write(json.dumps(values).encode() + b"\n")
    pipe.write(content)
    pipe.flush()
