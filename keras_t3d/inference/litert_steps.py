"""Runs the steps of a stream in a .tflite file through LiteRT, without TensorFlow."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import loky
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_t3d.inference.stream_state import check_state

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
        argument = "model_path" if isinstance(file, str) else "model_content"
        interpreter = Interpreter(**{argument: file}, num_threads=threads or loky.cpu_count())
        self._run = interpreter.get_signature_runner()
        # Two threads would write into the interpreter's tensors at once: wrong results, no error.
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {
            name: details
            for name, details in self._run.get_input_details().items()
            if name != FRAMES
        }
        self._expected = {
            name: (tuple(map(int, details["shape"])), np.dtype(details["dtype"]))
            for name, details in self._state.items()
        }

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
        check_state(state, self._expected)
        with self._lock:
            outputs = self._run(**{FRAMES: frames}, **state)
        return outputs.pop(PROBABILITIES), outputs
