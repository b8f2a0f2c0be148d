"""What identifies the state of a stream in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def shapes_and_dtypes(state: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Returns shapes and dtypes of arrays, or of TensorFlow's tensors, by name."""
    return {name: (tuple(value.shape), _dtype(value)) for name, value in state.items()}


def _dtype(value: Any) -> np.dtype:
    return np.dtype(getattr(value.dtype, "as_numpy_dtype", value.dtype))
