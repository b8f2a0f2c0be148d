"""Runs the steps of a stream in a SavedModel, through its signatures only."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_t3d.inference.saved_model_version import open_saved_model
from keras_t3d.inference.stream_state import shapes_and_dtypes
from keras_t3d.streaming.state_check import check_state


class SavedModelSteps:
    """A SavedModel of a stream as a function from frames and state to both after a step.

    Args:
        version: folder of one version, such as `serving/t3d/1`.
    """

    def __init__(self, version: pathlib.Path) -> None:
        self._loaded = open_saved_model(version)
        self._step = self._loaded.signatures["step"]
        self._first: dict[str, tf.Tensor] = self._loaded.signatures["initial_state"](
            batch=tf.constant(1, tf.int64)
        )
        self._expected = shapes_and_dtypes(self._first)

    def initial_state(self) -> dict[str, Any]:
        """Returns the state before the first frame."""
        return dict(self._first)

    def __call__(
        self, frames: np.ndarray, state: Mapping[str, Any]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Maps frames, uint8 (1, n, H, W, 3), to probabilities, float32 (1, classes), and state."""
        check_state(shapes_and_dtypes(state), self._expected)
        after = dict(self._step(frames=tf.constant(frames), **state))
        return after.pop("probabilities").numpy(), after
