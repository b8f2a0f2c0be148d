"""The interface of all predictors, and what is common to their inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError

# Names of inputs and outputs of exported models.
CLIPS, PROBABILITIES, EMBEDDING = "clips", "probabilities", "embedding"

NOT_FINITE = (
    "The model predicts NaN: its training diverged. Train it again with a lower learning rate."
)


class Predictor(Protocol):
    """Predicts class probabilities of clips; implemented for Keras and each format of export.

    Predictors may be called from several threads at once.

    Attributes:
        clip_spec: the clips that the model reads.
        class_names: one name per class.
    """

    clip_spec: ClipSpec
    class_names: tuple[str, ...]

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        """Maps uint8 clips `(n, *clip_spec.input_shape)` to float32 `(n, classes)`."""
        ...


class Embedder(Protocol):
    """Computes the features of clips that a classifying layer reads.

    Attributes:
        clip_spec: the clips that the model reads.
        class_names: one name per class.
    """

    clip_spec: ClipSpec
    class_names: tuple[str, ...]

    def embeddings(self, clips: np.ndarray) -> np.ndarray:
        """Maps uint8 clips `(n, *clip_spec.input_shape)` to float32 `(n, width)`."""
        ...


def validate_clips(clips: np.ndarray, clip_spec: ClipSpec, argument: str = "clips") -> np.ndarray:
    """Returns a batch of clips as an array, checked so that all predictors accept the same.

    Raises:
        InvalidArgumentError: if it is not a uint8 batch of at least one clip of this shape.
    """
    clips = np.asarray(clips)
    if clips.dtype != np.uint8 or clips.shape[1:] != clip_spec.input_shape or not len(clips):
        shape = ", ".join(map(str, clip_spec.input_shape))
        raise InvalidArgumentError(
            f"`{argument}` must hold uint8 clips of shape (n, {shape}) with n >= 1, for example "
            f"keras_t3d.clips.take_view(frames, clip_spec)[None]. Received: {clips.dtype} of shape "
            f"{clips.shape}",
            argument=argument,
        )
    return clips


def top_classes(
    probabilities: np.ndarray, class_names: Sequence[str], top: int
) -> list[tuple[str, float]]:
    """Returns the names and probabilities of the most probable classes, in descending order.

    Of equally probable classes, the one with the smaller id comes first.
    """
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [(class_names[index], float(probabilities[index])) for index in best]
