"""What may be sent to a signature, checked before anything is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_NUMBERS = (np.uint8, np.float32, np.int64)
_RULE = (
    "Expected {'clips': uint8 array} or the like: NumPy arrays of uint8, float32 or int64, or of "
    "bytes or strings (an array of objects, or a list), each by its input's name. "
)


def checked_inputs(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns inputs as both protocols write them: numbers as they are, bytes in arrays of objects.

    Args:
        inputs: by name, arrays or what NumPy makes arrays of; strings are sent as UTF-8.

    Raises:
        ValueError: if one is of a type that is not sent, or no array at all.
    """
    if not isinstance(inputs, Mapping) or not all(isinstance(name, str) for name in inputs):
        received = list(inputs) if isinstance(inputs, Mapping) else type(inputs).__name__
        raise ValueError(f"{_RULE}Received: {received}")
    return {name: _checked(name, value) for name, value in inputs.items()}


def _checked(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
        if array.dtype.kind in "SU" and not isinstance(value, np.ndarray):
            array = np.array(value, object)  # NumPy's own strings lose zeros at their end
    except ValueError as error:  # rows of several lengths
        raise ValueError(f"{_RULE}Received: {name!r}, {type(value).__name__} ({error})") from None
    if array.dtype in _NUMBERS:
        return array
    if array.dtype.kind not in "OSU":
        raise ValueError(f"{_RULE}Received: {name!r}, {array.dtype} of shape {array.shape}")
    return np.array([_bytes(name, item) for item in array.flat], object).reshape(array.shape)


def _bytes(name: str, item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode("utf-8", "surrogatepass")
    if isinstance(item, bytes):
        return bytes(item)  # NumPy's own subclass too
    raise ValueError(f"{_RULE}Received: {name!r}, objects of {type(item)}")
