"""Compares what was exported with the Keras model, on the same clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.models import VideoClassifier
from keras_t3d.motion_set.generation import motion_clips

NUM_CLIPS = 8  # enough to show a wrong graph; more of the same shows nothing new


def check_classifier(model: Any) -> VideoClassifier:
    """Returns the model if it is one that knows its clips and class names, or says what it is."""
    if not isinstance(model, VideoClassifier):
        raise ValueError(
            "An export needs a network of this package, which knows its clips and class names: "
            "a `keras_t3d.models.VideoClassifier`, for example "
            "keras_t3d.models.create('t3d_121', input_shape=(16, 112, 112, 3), num_classes=101), "
            f"or what `keras.saving.load_model` reads from its file. Received: {type(model)}"
        )
    model.check_classifies()
    return model


def comparison_clips(spec: ClipSpec, calibration: Any = None, most: int = NUM_CLIPS) -> np.ndarray:
    """Returns the clips to compare on: the first of the calibration clips, else made ones.

    Args:
        spec: ClipSpec of the model.
        calibration: uint8 array of shape (clips, T, H, W, 3), or an iterable of such
            batches or of (batch, labels) pairs, as `keras_t3d.data.load_clips` gives;
            None renders clips of the motion set. Defaults to `None`.
        most: int. How many clips at most. Defaults to 8.

    Returns:
        uint8 array of shape (up to `most`, T, H, W, 3).

    Raises:
        ValueError: if the calibration holds no clips, or clips of another shape or type.

    Example:

    ```python
    comparison_clips(ClipSpec(num_frames=16, crop=112)).shape  # (8, 16, 112, 112, 3)
    ```
    """
    if calibration is None:
        return motion_clips(most, spec, 0)[0]
    parts: list[np.ndarray] = []
    for clips, _ in clip_batches(spec, calibration, "calibration"):
        parts.append(clips[: most - sum(map(len, parts))])
        if sum(map(len, parts)) == most:
            break
    return np.concatenate(parts)


def clip_batches(
    spec: ClipSpec, batches: Any, name: str
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yields batches of clips with their labels, or None where there are none.

    Args:
        spec: ClipSpec of the model.
        batches: uint8 array of shape (clips, T, H, W, 3), a pair of it and labels, or an iterable
            of such batches or pairs, as `keras_t3d.data.load_clips` gives.
        name: str. The argument that they are.

    Raises:
        ValueError: if there are no clips, or they are of another shape or type.
    """
    is_pair = isinstance(batches, tuple) and len(batches) == 2
    found = False
    for batch in [batches] if is_pair or hasattr(batches, "dtype") else batches:
        clips, labels = batch if isinstance(batch, (tuple, list)) else (batch, None)
        clips = np.asarray(clips)
        if clips.dtype != np.uint8 or clips.shape[1:] != spec.input_shape:
            raise ValueError(
                f"`{name}` must hold uint8 clips of shape (clips, {spec.input_shape}), the "
                "clips that the model reads, as an array or as an iterable of batches. "
                f"Received: {clips.dtype} of shape {clips.shape}"
            )
        if len(clips):
            found = True
            yield clips, None if labels is None else np.asarray(labels)
    if not found:
        raise ValueError(f"`{name}` must hold at least one clip. Received: none")


def largest_difference(
    model: keras.Model, clips: np.ndarray, probabilities: Callable[[np.ndarray], np.ndarray]
) -> float:
    """Returns by how much an artifact's probabilities differ from the Keras model's, at most.

    Args:
        model: `keras.Model` from clips to logits.
        clips: uint8 array of shape (clips, T, H, W, 3).
        probabilities: the artifact: a function from one clip, shape (1, T, H, W, 3),
            to its probabilities, shape (1, classes).

    Returns:
        float. NaN if either gives NaN.
    """
    differences = []
    for index in range(len(clips)):
        clip = clips[index : index + 1]
        logits = keras.ops.convert_to_numpy(model(clip, training=False)).astype(np.float64)
        exponentials = np.exp(logits - logits.max())
        expected = exponentials / exponentials.sum()
        differences.append(np.abs(probabilities(clip) - expected).max())
    return float(np.max(differences))


def check_difference(difference: float, tolerance: float) -> None:
    """Raises RuntimeError if an artifact differs from its model by more than it may."""
    if not difference <= tolerance:  # so that NaN fails too
        raise RuntimeError(
            f"The exported network gives other probabilities than the Keras model: they differ by "
            f"up to {difference:.2e}, and {tolerance:.0e} is allowed."
        )
