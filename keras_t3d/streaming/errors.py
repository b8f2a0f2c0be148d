"""Exceptions of streams that are meant for users."""

from __future__ import annotations

from typing import Any

from keras_t3d.errors import KerasT3DError


class StreamingError(KerasT3DError):
    """The model cannot be computed step by step.

    Args:
        layer: the layer that prevents it.
        problem: what it does, as the end of a sentence that begins with the layer.
    """

    def __init__(self, layer: Any, problem: str) -> None:
        super().__init__(
            "The model cannot stream: no layer may read a later frame, and its layer "
            f"{layer.name!r} {problem}. Train a causal network, for example "
            "keras_t3d.models.create('t3d_lite0', (16, 128, 128, 3), 101, causal=True). "
            f"Received: a layer of class {type(layer).__name__}"
        )
