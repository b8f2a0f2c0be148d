"""From a video file to class names and probabilities."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from keras_t3d.clips import ClipSpec, resize_frames, resized_size, take_view, view_starts
from keras_t3d.data.video import VideoReader
from keras_t3d.inference.load import load_predictor

_MOST_VIEWS = 10


def predict_video(
    model: Any, path: str | os.PathLike[str], top: int = 5, num_views: int | None = None
) -> list[tuple[str, float]]:
    """Says what happens in a video.

    Several views spread over the whole video are scored, and their
    probabilities averaged.

    Args:
        model: a VideoClassifier, a Predictor, or the path of a `.keras` file, a
            SavedModel folder or a `.tflite` file.
        path: path of the video.
        top: int. How many classes to return. Defaults to `5`.
        num_views: int. Views to score; None takes as many as cover the video
            without gaps, at most 10. Defaults to `None`.

    Returns:
        (class name, probability), most probable first.

    Raises:
        ValueError: if the model or the video cannot be read.

    Example:

    ```python
    predict_video(model, "clip.mp4", top=2)  # [("golf", 0.93), ("pour", 0.04)]
    ```
    """
    if top < 1:
        raise ValueError(f"`top` must be at least 1. Received: {top}")
    predictor = load_predictor(model)
    spec = predictor.clip_spec
    frames = _resized_frames(path, spec)
    if num_views is None:
        num_views = min(-(-len(frames) // spec.span), _MOST_VIEWS)
    views = [take_view(frames, spec, start) for start in view_starts(len(frames), spec, num_views)]
    # One view at a time: a clip of the larger networks needs hundreds of megabytes.
    scores = np.mean([predictor.probabilities(view[None])[0] for view in views], axis=0)
    best = np.argsort(-scores, kind="stable")[:top]
    return [(predictor.class_names[index], float(scores[index])) for index in best]


def _resized_frames(path: str | os.PathLike[str], spec: ClipSpec) -> np.ndarray:
    """All frames at the view's scale, resized one by one: large videos fit in memory."""
    with VideoReader(path) as reader:
        return np.stack([_resized(frame, spec.resize) for frame in reader])


def _resized(frame: np.ndarray, short_side: int) -> np.ndarray:
    height, width = frame.shape[:2]
    return resize_frames(frame[None], *resized_size(height, width, short_side))[0]
