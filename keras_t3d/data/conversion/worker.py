"""The process of an IsolatedDecoder: `python -m keras_t3d.data.conversion.worker`."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable
from typing import Any

from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.video_records import write_video_records
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.decoding_worker import Answer, answer_tasks
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.reader import VideoReader


def main() -> None:
    """Answers tasks: the records of a video to write, or its header to read."""
    answer_tasks(_answer)


def _answer(task: dict[str, Any], frame_decoded: Callable[[], None]) -> Answer:
    if "header" in task:
        return _header(task["header"]), b""
    return _outcome(task, frame_decoded), b""


def _header(path: str) -> dict[str, Any]:
    try:
        with VideoReader(path) as reader:
            header = reader.header
            height, width = header.size
            return {"seconds": header.seconds, "fps": header.fps, "height": height, "width": width}
    except VideoError:
        return {}


def _outcome(task: dict[str, Any], frame_decoded: Callable[[], None]) -> dict[str, Any]:
    try:
        outcome = write_video_records(
            VideoEntry(**task["entry"]),
            task["label_index"],
            ConversionOptions(**task["options"]),
            task["path"],
            frame_decoded,
        )
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return {"disk_full": True}
        return {"failure": str(error)}  # caused by the machine, not by the video
    return dataclasses.asdict(outcome)


if __name__ == "__main__":
    main()
