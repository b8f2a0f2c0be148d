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
