"""What rounding to integers changes, operation by operation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_t3d.private_interfaces import interpreter_operations

_COMPARISON = "NumericVerify"  # of integers with floats, which the converter inserts
_LEAST = 1e-12


@dataclasses.dataclass(frozen=True)
class Rounding:
    """How an operation in integers differs from the same in floats, given the same inputs.

    Attributes:
        error: root mean squared error relative to the root mean square of the values.
        offset: float32 (channels,), the mean of the float values minus that of the integers.
    """

    error: float
    offset: np.ndarray


def measure_rounding(content: bytes, inputs: Iterable[Sequence[np.ndarray]]) -> dict[str, Rounding]:
    """Runs a file that computes every operation both ways.

    Args:
        content: a `.tflite` file with the converter's comparisons.
        inputs: its inputs, in their order.

    Returns:
        The differences by the name of the operation's output, the mean over `inputs`.
    """
    # LiteRT's own interpreter lacks the comparison.
    interpreter: Any = tf.lite.Interpreter(
        model_content=content, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    places = [tensor["index"] for tensor in interpreter.get_input_details()]
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    compared = [
        step["inputs"][:2]
        for step in interpreter_operations(interpreter)
        if step["op_name"] == _COMPARISON
    ]
    seen: dict[str, list[Rounding]] = {tensors[integers]["name"]: [] for integers, _ in compared}
    for values in inputs:
        for place, value in zip(places, values, strict=True):
            interpreter.set_tensor(place, value)
        interpreter.invoke()
        for integers, floats in compared:
            tensor = tensors[integers]
            seen[tensor["name"]].append(
                _compare(
                    interpreter.get_tensor(floats),
                    interpreter.get_tensor(integers),
                    *tensor["quantization"],
                )
            )
    return {
        name: Rounding(
            float(np.mean([each.error for each in found])),
            np.mean([each.offset for each in found], axis=0),
        )
        for name, found in seen.items()
    }


def _compare(expected: np.ndarray, integers: np.ndarray, scale: float, zero_point: int) -> Rounding:
    """Clips `expected` to the integer range, as a later ReLU does with the same values."""
    ends = np.iinfo(integers.dtype)
    low, high = ((end - zero_point) * scale for end in (ends.min, ends.max))
    expected = np.clip(expected, low, high)
    difference = expected - (integers.astype(np.float32) - zero_point) * scale
    error = float(np.sqrt(np.mean(difference**2) / max(np.mean(expected**2), _LEAST)))
    channels = difference.shape[-1] if difference.ndim else 1
    return Rounding(error, difference.reshape(-1, channels).mean(axis=0))
