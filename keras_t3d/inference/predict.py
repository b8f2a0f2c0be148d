"""Predicts the class of a whole video."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_t3d.clips import (
    ClipSpec,
    clip_frames,
    resize_short_side,
    take_view,
    view_starts,
)
from keras_t3d.clips.frame_rate import frames_for_clips
from keras_t3d.data.video.reader import VideoReader, warn_of_damage
from keras_t3d.errors import check_integer
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
    check_integer("top", top, 1, 5)
    predictor = load_predictor(model)
    clips = read_clips(path, predictor.clip_spec, num_views, clip_frames)
    # Their frames are selected already.
    consecutive = dataclasses.replace(predictor.clip_spec, frame_stride=1)
    views = [take_view(np.stack(clip), consecutive) for clip in clips]
    # One view at a time: a clip of the larger networks needs hundreds of megabytes.
    mean = np.mean([predictor.probabilities(view[None])[0] for view in views], axis=0)
    return top_classes(mean, predictor.class_names, top)


def read_clips(
    path: str | os.PathLike[str],
    clip_spec: ClipSpec,
    num_views: int | None,
    frames_of: Callable[[int, ClipSpec, int], Iterable[int]],
) -> list[list[np.ndarray]]:
    """Returns the frames of each view of a video, with the short side as the model resizes it.

    The video is decoded once if its header states the right number of frames, otherwise, and for
    a ClipSpec with a frame rate, twice.

    Args:
        path: path of the video.
        clip_spec: the clips that the model reads.
        num_views: see `predict_video`.
        frames_of: returns the indices of a view's frames, given the number of frames of the video,
            the ClipSpec and the first frame of the view.
    """
    with VideoReader(path) as reader:
        known: Sequence[int] = range(reader.header.num_frames or 0) if clip_spec.fps is None else ()
        clips = _indices(known, clip_spec, num_views, frames_of) if known else []
        frames = _read_frames(reader, clips, clip_spec)
        num_frames = reader.num_decoded
        times = reader.times
    if num_frames != len(known):
        known = frames_for_clips(num_frames, times, clip_spec).tolist()
        clips = _indices(known, clip_spec, num_views, frames_of)
        with VideoReader(path) as reader:
            frames = _read_frames(reader, clips, clip_spec)
    warn_of_damage(reader)
    return [[frames[index] for index in clip] for clip in clips]


def _indices(
    known: Sequence[int],
    clip_spec: ClipSpec,
    num_views: int | None,
    frames_of: Callable[[int, ClipSpec, int], Iterable[int]],
) -> list[list[int]]:
    """Returns the indices in the video of each view's frames, which are among `known`."""
    starts = view_starts(len(known), clip_spec, num_views)
    return [[known[int(i)] for i in frames_of(len(known), clip_spec, start)] for start in starts]


def _read_frames(
    reader: VideoReader, clips: list[list[int]], clip_spec: ClipSpec
) -> dict[int, np.ndarray]:
    """Returns the frames of these clips by index, resized."""
    indices = {index for clip in clips for index in clip}
    return {i: resize_short_side(frame, clip_spec.resize) for i, frame in reader.pick(indices)}
