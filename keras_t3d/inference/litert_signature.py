"""Opens a .tflite file with LiteRT, without TensorFlow, as a function that threads may share."""

from __future__ import annotations

import threading
from typing import Any

import loky
import numpy as np
from ai_edge_litert.interpreter import Interpreter


class LiteRTSignature:
    """The only signature of a `.tflite` file as a function, computed for one thread at a time.

    Args:
        file: path of the file (str), or its content (bytes).
        threads: number of threads; None uses as many as the process has cores.

    Attributes:
        inputs, outputs: LiteRT's details of the tensors by name.

    Raises:
        ValueError: if LiteRT cannot read the file.
    """

    def __init__(self, file: str | bytes, threads: int | None = None) -> None:
        argument = "model_path" if isinstance(file, str) else "model_content"
        interpreter = Interpreter(**{argument: file}, num_threads=threads or loky.cpu_count())
        self._run = interpreter.get_signature_runner()
        # Two threads would write into the interpreter's tensors at once: wrong results, no error.
        self._lock = threading.Lock()
        self.inputs: dict[str, Any] = self._run.get_input_details()
        self.outputs: dict[str, Any] = self._run.get_output_details()

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs by name, as copies."""
        with self._lock:
            outputs: dict[str, np.ndarray] = self._run(**inputs)
        return outputs
