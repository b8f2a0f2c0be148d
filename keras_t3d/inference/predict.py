"""Predicts the class of a whole video."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from keras_t3d.data.video.damage import warn_of_damage
from keras_t3d.errors import check_integer
from keras_t3d.inference.load import load_predictor
from keras_t3d.inference.predictor import top_classes
from keras_t3d.inference.video_views import read_views


def predict_video(
    model: Any, path: str | os.PathLike[str], top: int = 5, num_views: int | None = None
) -> list[tuple[str, float]]:
    """Predicts the classes of a video.

    Several views spread over the whole video are predicted, and their probabilities averaged.
    `stream_video` predicts the classes over time, `predict_videos` those of many videos.

    Args:
        model: VideoClassifier, Predictor, or path of a `.keras` file, a SavedModel folder or a
            `.tflite` file.
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
    views = read_views(path, predictor.clip_spec, num_views)
    warn_of_damage(path, views.damage)
    # One view at a time: a clip of the larger networks needs hundreds of megabytes.
    mean = np.mean([predictor.probabilities(clip[None])[0] for clip in views.clips], axis=0)
    return top_classes(mean, predictor.class_names, top)
