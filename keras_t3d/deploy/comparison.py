"""Compares exported artifacts with the Keras model, on the same clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.deploy.errors import ExportError
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.predictor import validate_clips
from keras_t3d.models import VideoClassifier
from keras_t3d.models.outputs import are_distributions

NUM_CLIPS = 8  # enough to detect a wrong graph
_WAVES = 3

LabelledClips = tuple[np.ndarray, np.ndarray | None]  # a batch, and its labels if there are any


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """Result of an export.

    Attributes:
        path: the file or directory written.
        num_bytes: its size.
        largest_difference: largest absolute difference of a probability from the Keras model's,
            over the clips compared.
        num_clips: number of clips compared.
    """

    path: Path
    num_bytes: int
    largest_difference: float
    num_clips: int

    @property
    def storage(self) -> str:
        """How the weights are stored."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """Returns the lines to print."""
        return [
            f"Wrote {self.path}  ({self.num_bytes / 1e6:.1f} MB, {self.storage})",
            f"Probabilities of {self.num_clips} clips differ from the Keras model's by "
            f"{self.largest_difference:.1e} at most",
        ]


def comparison_clips(
    clip_spec: ClipSpec, calibration: Any = None, limit: int = NUM_CLIPS
) -> np.ndarray:
    """Returns the clips to compare on: the first of the calibration clips, or generated ones.

    Args:
        clip_spec: ClipSpec of the model.
        calibration: uint8 array of shape (clips, T, H, W, 3), or an iterable of such
            batches or of (batch, labels) pairs, as `keras_t3d.data.load_clips` yields.
            None generates clips.
        limit: maximum number of clips.

    Returns:
        uint8 array of shape (up to `limit`, T, H, W, 3).

    Raises:
        InvalidArgumentError: if the calibration has no clips, or clips of another shape or type.

    Example:

    ```python
    comparison_clips(ClipSpec(num_frames=16, crop=112)).shape  # (8, 16, 112, 112, 3)
    ```
    """
    if calibration is None:
        return _moving_gratings(clip_spec, limit)
    batches = clip_batches(clip_spec, calibration, "calibration")
    return np.concatenate([clips for clips, _ in take_clips(batches, limit)])


def _moving_gratings(clip_spec: ClipSpec, count: int) -> np.ndarray:
    """Sums of waves that move over the frame, each in a direction, speed and colour of its own."""
    frames, height, width, _ = clip_spec.input_shape
    t, y, x = np.ogrid[0 : 1 : frames * 1j, 0 : 1 : height * 1j, 0 : 1 : width * 1j]
    rng = np.random.default_rng(0)
    clips = np.empty((count, *clip_spec.input_shape), np.uint8)
    for clip in clips:
        waves = [
            np.cos(2 * np.pi * (a * t + b * y + c * x + d))[..., None] * rng.uniform(-1, 1, 3)
            for a, b, c, d in rng.uniform(-6, 6, (_WAVES, 4))
        ]
        clip[:] = 127.5 * (1 + sum(waves) / _WAVES)
    return clips


def clip_batches(clip_spec: ClipSpec, batches: Any, argument: str) -> Iterator[LabelledClips]:
    """Yields batches of clips with their labels, or None where there are none.

    Args:
        clip_spec: ClipSpec of the model.
        batches: uint8 array of shape (clips, T, H, W, 3), a pair of it and labels, or an iterable
            of such batches or pairs, as `keras_t3d.data.load_clips` yields.
        argument: name of the argument, for error messages.

    Raises:
        InvalidArgumentError: if `clips` is empty, or has another shape or dtype.
    """
    is_pair = isinstance(batches, tuple) and len(batches) == 2
    found = False
    for batch in [batches] if is_pair or hasattr(batches, "dtype") else batches:
        clips, labels = batch if isinstance(batch, (tuple, list)) else (batch, None)
        if np.shape(clips)[:1] != (0,):
            found = True
            clips = validate_clips(clips, clip_spec, argument)
            yield clips, None if labels is None else np.asarray(labels)
    if not found:
        raise InvalidArgumentError(
            f"`{argument}` must hold at least one clip. Received: none", argument=argument
        )


def take_clips(batches: Iterable[LabelledClips], limit: int) -> Iterator[LabelledClips]:
    """Yields batches up to a number of clips, of which the last one may be a part."""
    for clips, labels in batches:
        yield clips[:limit], None if labels is None else labels[:limit]
        limit -= len(clips)
        if limit <= 0:
            return


def keras_probabilities(model: Callable[..., Any], clips: np.ndarray) -> np.ndarray:
    """Returns a classifier's probabilities, float64 of shape (clips, classes).

    Args:
        model: `keras.Model` from clips to logits or probabilities.
        clips: uint8 array of shape (clips, T, H, W, 3).
    """
    rows = (model(clips[n : n + 1], training=False) for n in range(len(clips)))
    return as_probabilities(rows)


def as_probabilities(rows: Iterable[Any]) -> np.ndarray:
    """Returns the outputs of a classifier as probabilities, float64 of shape (rows, classes).

    What they are is decided by their values, not by `VideoClassifier.outputs_are`, which the
    exports rely on: so an error there is a difference.

    Args:
        rows: logits or probabilities, tensors of shape (1, classes).
    """
    arrays = [keras.ops.convert_to_numpy(row).astype(np.float64) for row in rows]
    outputs = np.concatenate(arrays)
    if are_distributions(outputs):
        return outputs
    exponentials = np.exp(outputs - outputs.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def probabilities_of(model: VideoClassifier) -> Callable[[Any], Any]:
    """Returns the function from a model's outputs to probabilities."""
    returns_logits = model.check_classifies() == "logits"
    return lambda outputs: keras.ops.softmax(outputs) if returns_logits else outputs


def largest_difference(
    model: keras.Model, clips: np.ndarray, probabilities: Callable[[np.ndarray], np.ndarray]
) -> float:
    """Returns the largest absolute difference of an artifact's probabilities from the model's.

    The artifact is a function from one clip, uint8 (1, T, H, W, 3), to its probabilities, shape
    (1, classes). The difference is NaN if any probability is NaN.
    """
    expected = keras_probabilities(model, clips)
    found = np.concatenate([probabilities(clip[None]) for clip in clips])
    return float(np.abs(found - expected).max())


def check_difference(difference: float, tolerance: float) -> None:
    """Raises ExportError if an artifact differs from its model by more than the tolerance."""
    if not difference <= tolerance:  # so that NaN fails too
        raise ExportError(
            "The exported model's probabilities differ from the Keras model's by up to "
            f"{difference:.2e}; at most {tolerance:.0e} is allowed."
        )
