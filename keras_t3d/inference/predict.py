"""Predicts the class of a whole video."""

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
from keras_t3d.errors import check_positive_integer
from keras_t3d.inference.load import load_predictor
from keras_t3d.inference.predictor import top_classes


def predict_video(
    model: Any, path: str | os.PathLike[str], top: int = 5, num_views: int | None = None
) -> list[tuple[str, float]]:
    """Predicts the classes of a video.

    Several views spread over the whole video are predicted, and their probabilities averaged.
    `stream_video` predicts the classes over time.

    Args:
        model: VideoClassifier, Predictor, or path of a `.keras` file, a SavedModel folder or a
            `.tflite` file. For many videos, load it once with `load_predictor`.
        path: path of the video.
        top: how many classes to return.
        num_views: number of views; None takes as many as cover the video without gaps, at most
            10.

    Returns:
        (class name, probability) pairs, most probable first.

    Raises:
        InvalidArgumentError: if an argument is out of its range or the model cannot be loaded.
        VideoError: if the video cannot be read.

    Warns:
        DamagedVideoWarning: if parts of the video do not decode; they are left out.

    Example:

    ```python
    keras_t3d.inference.predict_video("best.keras", "clip.mp4", top=2)
    # [("golf", 0.93), ("pour", 0.04)]
    ```
    """
    check_positive_integer("top", top, example=5)
    predictor = load_predictor(model)
    views = _read_views(path, predictor.clip_spec, num_views)
    # One view at a time: a clip of the larger networks needs hundreds of megabytes.
    mean = np.mean([predictor.probabilities(view[None])[0] for view in views], axis=0)
    return top_classes(mean, predictor.class_names, top)


def _read_views(
    path: str | os.PathLike[str], clip_spec: ClipSpec, num_views: int | None
) -> list[np.ndarray]:
    """Returns the views of a video, holding no other frames.

    The video is decoded once if its header states the right number of frames, otherwise twice.
    """
    with VideoReader(path) as reader:
        stated = reader.header.num_frames
        clips = _clip_indices(stated, clip_spec, num_views) if stated else []
        frames = _read_frames(reader, clips, clip_spec)
        num_frames = reader.num_decoded
    if num_frames != stated:
        clips = _clip_indices(num_frames, clip_spec, num_views)
        with VideoReader(path) as reader:
            frames = _read_frames(reader, clips, clip_spec)
    warn_of_damage(reader)
    consecutive = dataclasses.replace(clip_spec, frame_stride=1)  # frames are selected already
    return [take_view(np.stack([frames[i] for i in clip]), consecutive) for clip in clips]


def _clip_indices(num_frames: int, clip_spec: ClipSpec, num_views: int | None) -> list[np.ndarray]:
    starts = view_starts(num_frames, clip_spec, num_views)
    return [clip_frames(num_frames, clip_spec, start) for start in starts]


def _read_frames(
    reader: VideoReader, clips: list[np.ndarray], clip_spec: ClipSpec
) -> dict[int, np.ndarray]:
    """Returns the frames of these clips by index, resized."""
    indices = {int(index) for clip in clips for index in clip}
    return {i: resize_short_side(frame, clip_spec.resize) for i, frame in reader.pick(indices)}
