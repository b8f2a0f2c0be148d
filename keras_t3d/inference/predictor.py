"""What a predictor is, whatever runs underneath."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from keras_t3d.clips import ClipSpec


class Predictor(Protocol):
    """Gives class probabilities for ready clips.

    Attributes:
        clip_spec: ClipSpec. The clips it reads.
        class_names: str. One a class.
    """

    clip_spec: ClipSpec
    class_names: tuple[str, ...]

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        """Maps uint8 clips `(n, *clip_spec.input_shape)` to float32 `(n, classes)`."""
        ...


def checked_clips(clips: np.ndarray, spec: ClipSpec) -> np.ndarray:
    """Refuses what is no batch of ready clips, so that all predictors take the same."""
    clips = np.asarray(clips)
    if clips.dtype != np.uint8 or clips.shape[1:] != spec.input_shape or not len(clips):
        raise ValueError(
            f"Expected at least one uint8 clip of shape {spec.input_shape}, as "
            "keras_t3d.clips.take_view gives, in an array of shape (n, frames, height, width, 3). "
            f"Received: {clips.dtype} of shape {clips.shape}"
        )
    return clips
