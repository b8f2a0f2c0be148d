"""Runs the steps of a stream in a .tflite file through LiteRT, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_t3d.inference.litert_signature import LiteRTSignature
from keras_t3d.inference.stream_state import shapes_and_dtypes
from keras_t3d.streaming.state_check import check_state

FRAMES, PROBABILITIES = "frames", "probabilities"


class LiteRTSteps:
    """A `.tflite` file of a stream as a function from frames and state to both after a step.

    Args:
        file: path of the file (str), or its content (bytes).
        threads: number of threads; None uses as many as the process has cores.

    Raises:
        ValueError: if LiteRT cannot read the file.
    """

    def __init__(self, file: str | bytes, threads: int | None = None) -> None:
        self._run = LiteRTSignature(file, threads)
        self._state = {name: each for name, each in self._run.inputs.items() if name != FRAMES}
        self._expected = shapes_and_dtypes(self.initial_state())

    def initial_state(self) -> dict[str, np.ndarray]:
        """Returns the state before the first frame: zeros, which are the zero point in 8 bits."""
        return {
            name: np.full(details["shape"], details["quantization"][1], details["dtype"])
            for name, details in self._state.items()
        }

    def __call__(
        self, frames: np.ndarray, state: Mapping[str, Any]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Maps frames, uint8 (1, n, H, W, 3), to probabilities, float32 (1, classes), and state."""
        check_state(shapes_and_dtypes(state), self._expected)
        outputs = self._run(**{FRAMES: frames}, **state)
        return outputs.pop(PROBABILITIES), outputs
