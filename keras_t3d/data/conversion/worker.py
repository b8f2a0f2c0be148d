"""The process that decodes videos for a conversion: `python -m keras_t3d.data.conversion.worker`.

It reads one task a line from its standard input and answers on its standard output, in
JSON: lines `{"alive": true}` while frames come, then the outcome. A process of its own,
because a broken video can crash or hang the decoder.
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

from keras_t3d.data.conversion.video_records import RecordOptions, write_video_records
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.reader import VideoReader

_BEAT = 0.5  # seconds between two signs of life


def main() -> None:
    """Answers tasks until the standard input ends, as it does when the parent dies."""
    # Who stops a conversion stops the parent, which is what ends this process: a signal to all
    # of them must not look like a video that kills its decoder.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    for line in iter(_lines().get, None):
        task = json.loads(line)
        answer = _promise(task["probe"]) if "probe" in task else _answer(task, answers)
        print(json.dumps(answer), file=answers)


def _lines() -> queue.Queue[str]:
    """The lines of the standard input; ends the process when it ends, at work or not."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _promise(path: str) -> dict[str, Any]:
    try:
        with VideoReader(path) as reader:
            header = reader.header
            height, width = header.size
            return {"seconds": header.seconds, "fps": header.fps, "height": height, "width": width}
    except VideoError:
        return {}


def _answer(task: dict[str, Any], answers: Any) -> dict[str, Any]:
    said = time.monotonic()

    def frame_decoded() -> None:
        nonlocal said
        if time.monotonic() - said > _BEAT:
            said = time.monotonic()
            print('{"alive": true}', file=answers)

    try:
        outcome = write_video_records(
            VideoEntry(**task["entry"]),
            task["label_index"],
            RecordOptions(**task["options"]),
            task["path"],
            frame_decoded,
        )
    except MemoryError:
        return {"reason": "Takes more memory than there is"}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return {"disk_full": True}
        return {"failure": str(error)}  # of the machine, not of the video
    return dataclasses.asdict(outcome)


if __name__ == "__main__":
    main()
