"""Runs a .tflite file of ours on one clip at a time; answers are floats, whatever it has."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_t3d.cores import usable_cores


class LiteRunner:
    """Runs the one signature of a file.

    Args:
        file: str, its path, or bytes, what it holds.
        threads: int. Defaults to the cores that the process may use.

    Raises:
        ValueError: if LiteRT cannot read it.
    """

    def __init__(self, file: str | bytes, threads: int | None = None) -> None:
        where = "model_path" if isinstance(file, str) else "model_content"
        interpreter = Interpreter(**{where: file}, num_threads=threads or usable_cores())
        self._run = interpreter.get_signature_runner()
        (details,) = self._run.get_output_details().values()
        self._scale, self._zero_point = details["quantization"]
        self._in_floats = details["dtype"] == np.float32

    @property
    def step(self) -> float:
        """Between two probabilities that it can tell apart; 0 for floats."""
        return 0.0 if self._in_floats else self._scale

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """Maps a clip, uint8 (1, T, H, W, 3), to probabilities, float32 (1, classes)."""
        found = self._run(clip=clip)["probabilities"]
        if self._in_floats:
            return found
        return (found.astype(np.float32) - self._zero_point) * np.float32(self._scale)
