"""Reads the views of videos, here or in a process of their own.

The process imports neither Keras nor the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import av
import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.decoding import why_unreadable
from keras_t3d.data.video.decoding_process import DecodingProcess
from keras_t3d.data.video.decoding_worker import Answer, answer_tasks
from keras_t3d.data.video.errors import VideoError
from keras_t3d.inference.video_views import read_views


@dataclasses.dataclass(frozen=True)
class ReadVideo:
    """A video with its views.

    Attributes:
        video_id: see VideoEntry.
        clips: uint8 array (views, *clip_spec.input_shape), without views if it cannot be read.
        damage: see `keras_t3d.data.Video`; None if the video is complete.
        error: why it cannot be read; None if it can.
    """

    video_id: str
    clips: np.ndarray
    damage: str | None
    error: str | None


def read_video(
    entry: VideoEntry,
    clip_spec: ClipSpec,
    num_views: int | None,
    frame_decoded: Callable[[], None] | None = None,
) -> ReadVideo:
    """Reads the views of a video; it need not be readable."""
    try:
        views = read_views(entry.path, clip_spec, num_views, entry.start, entry.end, frame_decoded)
    except (VideoError, av.FFmpegError) as error:
        return _unreadable(entry, clip_spec, why_unreadable(error, entry.path))
    return ReadVideo(entry.video_id, views.clips, views.damage, None)


def read_isolated(
    process: DecodingProcess, entry: VideoEntry, clip_spec: ClipSpec, num_views: int | None
) -> ReadVideo:
    """Does the same in a process of this module."""
    values, content = process.answer(
        {
            "entry": dataclasses.asdict(entry),
            "clip_spec": clip_spec.get_config(),
            "num_views": num_views,
        }
    )
    if "reason" in values:
        return _unreadable(entry, clip_spec, values["reason"])
    clips = np.frombuffer(content, np.uint8).reshape(-1, *clip_spec.input_shape)
    return ReadVideo(entry.video_id, clips, values["damage"], None)


def _unreadable(entry: VideoEntry, clip_spec: ClipSpec, reason: str) -> ReadVideo:
    return ReadVideo(entry.video_id, np.zeros((0, *clip_spec.input_shape), np.uint8), None, reason)


def new_process(time_limit: float) -> DecodingProcess:
    """Returns a process for `read_isolated`."""
    return DecodingProcess(__name__, time_limit)


def _answer(task: dict[str, Any], frame_decoded: Callable[[], None]) -> Answer:
    clip_spec = ClipSpec.from_config(task["clip_spec"])
    video = read_video(VideoEntry(**task["entry"]), clip_spec, task["num_views"], frame_decoded)
    if video.error is not None:
        return {"reason": video.error}, b""
    return {"damage": video.damage}, video.clips.tobytes()


if __name__ == "__main__":
    answer_tasks(_answer)
