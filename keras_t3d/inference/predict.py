"""From a video file to class names and probabilities."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from keras_t3d.clips import (
    ClipSpec,
    clip_frames,
    resize_short_side,
    take_view,
    view_starts,
)
from keras_t3d.data.video.reader import VideoReader, warn_of_damage
from keras_t3d.inference.load import load_predictor
from keras_t3d.inference.top_classes import check_top, top_classes


def predict_video(
    model: Any, path: str | os.PathLike[str], top: int = 5, num_views: int | None = None
) -> list[tuple[str, float]]:
    """Says what happens in a video.

    Several views spread over the whole video are scored, and their
    probabilities averaged. What happens when, `stream_video` says.

    Args:
        model: a VideoClassifier, a Predictor, or the path of a `.keras` file, a
            SavedModel folder or a `.tflite` file. For many videos, load it once
            with `load_predictor`.
        path: path of the video.
        top: int. How many classes to return. Defaults to `5`.
        num_views: int. Views to score; None takes as many as cover the video
            without gaps, at most 10. Defaults to `None`.

    Returns:
        (class name, probability), most probable first.

    Raises:
        ValueError: if the model or the video cannot be read.

    Warns:
        DamagedVideoWarning: if a part of the video does not decode; the rest is scored.

    Example:

    ```python
    predict_video(model, "clip.mp4", top=2)  # [("golf", 0.93), ("pour", 0.04)]
    ```
    """
    check_top(top)
    predictor = load_predictor(model)
    views = _views(path, predictor.clip_spec, num_views)
    # One view at a time: a clip of the larger networks needs hundreds of megabytes.
    scores = np.mean([predictor.probabilities(view[None])[0] for view in views], axis=0)
    return top_classes(scores, predictor.class_names, top)


def _views(path: str | os.PathLike[str], spec: ClipSpec, num_views: int | None) -> list[np.ndarray]:
    """Decodes once where the header is right about the length, otherwise twice.

    Only the frames of the views are ever held.
    """
    with VideoReader(path) as reader:
        promised = reader.header.num_frames
        clips = _clips(promised, spec, num_views) if promised else []
        frames = _resized_frames(reader, clips, spec)
        num_frames = reader.num_decoded
    if num_frames != promised:
        clips = _clips(num_frames, spec, num_views)
        with VideoReader(path) as reader:
            frames = _resized_frames(reader, clips, spec)
    warn_of_damage(reader)
    still = dataclasses.replace(spec, frame_stride=1)  # the frames are chosen already
    return [take_view(np.stack([frames[index] for index in clip]), still) for clip in clips]


def _clips(num_frames: int, spec: ClipSpec, num_views: int | None) -> list[np.ndarray]:
    return [clip_frames(num_frames, spec, s) for s in view_starts(num_frames, spec, num_views)]


def _resized_frames(
    reader: VideoReader, clips: list[np.ndarray], spec: ClipSpec
) -> dict[int, np.ndarray]:
    wanted = {int(index) for clip in clips for index in clip}
    return {index: resize_short_side(frame, spec.resize) for index, frame in reader.pick(wanted)}
