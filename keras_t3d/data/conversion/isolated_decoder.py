"""Converts videos in a separate process, so that a crash or a hang costs one video only."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

from keras_t3d.data.conversion.errors import ConversionError, full_disk_error
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.decoding_process import DecodingProcess


class IsolatedDecoder:
    """Writes the records of videos in a separate process, which restarts when it dies.

    Args:
        time_limit: seconds without a new frame after which decoding is stopped.

    Example:

    ```python
    decoder = IsolatedDecoder(time_limit=120.0)
    outcome = decoder.write_records(entry, 0, ConversionOptions(), "records.tfrecord")
    decoder.stop()
    ```
    """

    def __init__(self, time_limit: float) -> None:
        self._process = DecodingProcess("keras_t3d.data.conversion.worker", time_limit)

    def stop(self) -> None:
        """Ends the process, from any thread; a task in progress raises a StoppedError."""
        self._process.stop()

    def write_records(
        self, entry: VideoEntry, label_index: int, options: ConversionOptions, path: pathlib.Path
    ) -> Outcome:
        """Writes the records of one video to a file, see `write_video_records`.

        Returns:
            An Outcome. A video that kills the process twice, or exceeds the time limit, is
            rejected.

        Raises:
            ConversionError: if the disk is full or a file cannot be written.
            StoppedError: if `stop` is called.
        """
        answer, _ = self._process.answer(
            {
                "entry": dataclasses.asdict(entry),
                "label_index": label_index,
                "options": dataclasses.asdict(options),
                "path": os.fspath(path),
            }
        )
        if "disk_full" in answer:
            raise full_disk_error(path.parent)
        if "failure" in answer:
            raise ConversionError(f"{answer['failure']} (at {entry.video_id})")
        return Outcome(**answer)

    def read_header(self, path: str) -> dict[str, Any]:
        """Returns `seconds`, `fps`, `height` and `width` of a video's header; empty if unknown."""
        answer, _ = self._process.answer({"header": path})
        return answer if answer.get("seconds") else {}
