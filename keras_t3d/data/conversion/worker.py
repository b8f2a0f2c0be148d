"""The process of an IsolatedDecoder: `python -m keras_t3d.data.conversion.worker`.

It reads one JSON task per line from standard input, and answers on standard output with lines
`{"alive": true}` while it decodes frames, then with the outcome.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any

from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.video_records import write_video_records
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.reader import VideoReader

_HEARTBEAT = 0.5  # seconds between two messages


def main() -> None:
    """Answers tasks until standard input ends, as it does when the parent process ends."""
    # The parent ends this process. A signal to the whole process group must not look like a
    # video that crashes its decoder.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    os.dup2(2, 1)  # keeps what libraries print apart from the answers
    for line in iter(_lines().get, None):
        task = json.loads(line)
        answer = _header(task["header"]) if "header" in task else _answer(task, answers)
        print(json.dumps(answer), file=answers)


def _lines() -> queue.Queue[str]:
    """Returns the lines of standard input; ends the process when it ends, even at work."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _header(path: str) -> dict[str, Any]:
    try:
        with VideoReader(path) as reader:
            header = reader.header
            height, width = header.size
            return {"seconds": header.seconds, "fps": header.fps, "height": height, "width": width}
    except VideoError:
        return {}


def _answer(task: dict[str, Any], answers: Any) -> dict[str, Any]:
    sent = time.monotonic()

    def frame_decoded() -> None:
        nonlocal sent
        if time.monotonic() - sent > _HEARTBEAT:
            sent = time.monotonic()
            print('{"alive": true}', file=answers)

    try:
        outcome = write_video_records(
            VideoEntry(**task["entry"]),
            task["label_index"],
            ConversionOptions(**task["options"]),
            task["path"],
            frame_decoded,
        )
    except MemoryError:
        return {"reason": "Out of memory"}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return {"disk_full": True}
        return {"failure": str(error)}  # caused by the machine, not by the video
    return dataclasses.asdict(outcome)


if __name__ == "__main__":
    main()
