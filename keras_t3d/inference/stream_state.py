"""Checks of the state of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_t3d.errors import InvalidArgumentError

Expected = Mapping[str, tuple[tuple[int, ...], np.dtype]]


def check_state(state: Mapping[str, Any], expected: Expected) -> None:
    """Raises InvalidArgumentError unless a state has these names, shapes and dtypes."""
    wrong = sorted(state.keys() ^ expected.keys())
    if not wrong:
        found = {name: (tuple(value.shape), _dtype(value)) for name, value in state.items()}
        wrong = [f"{name} {found[name]}" for name in state if found[name] != expected[name]]
    if wrong:
        raise InvalidArgumentError(
            "`state` must be of this model: the one that its last step returned, or "
            f"`initial_state()`. Received: {', '.join(wrong[:3])}",
            argument="state",
        )


def _dtype(value: Any) -> np.dtype:
    return np.dtype(getattr(value.dtype, "as_numpy_dtype", value.dtype))
