"""Tensors of requests: signatures of a served model, and checks of the inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_t3d.errors import InvalidArgumentError

_NUMBERS = (np.uint8, np.float32, np.int64)


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Type and shape of a signature's tensor; None where the shape or a size is not fixed."""

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclasses.dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a signature, by name."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


def checked_inputs(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns inputs in the form of both protocols: numbers, or bytes in arrays of objects.

    Args:
        inputs: arrays, or values that NumPy converts to arrays, by name; strings become UTF-8.

    Raises:
        InvalidArgumentError: if an input is not an array or has an unsupported type.
    """
    if not isinstance(inputs, Mapping) or not all(isinstance(name, str) for name in inputs):
        received = list(inputs) if isinstance(inputs, Mapping) else type(inputs).__name__
        raise _error(received)
    return {name: _checked(name, value) for name, value in inputs.items()}


def _checked(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
        if array.dtype.kind in "SU" and not isinstance(value, np.ndarray):
            array = np.array(value, object)  # NumPy strings lose trailing zeros
    except ValueError as error:  # rows of several lengths
        raise _error(f"{name!r}, {type(value).__name__} ({error})") from None
    if array.dtype in _NUMBERS:
        return array
    if array.dtype.kind not in "OSU":
        raise _error(f"{name!r}, {array.dtype} of shape {array.shape}")
    return np.array([_bytes(name, item) for item in array.flat], object).reshape(array.shape)


def _bytes(name: str, item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode("utf-8", "surrogatepass")
    if isinstance(item, bytes):
        return bytes(item)  # converts NumPy's subclass
    raise _error(f"{name!r}, objects of {type(item)}")


def _error(received: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        "`inputs` must map input names to NumPy arrays of uint8, float32 or int64, or to bytes or "
        "strings (an array of objects or a list), for example {'clips': clips}. "
        f"Received: {received}",
        argument="inputs",
    )
