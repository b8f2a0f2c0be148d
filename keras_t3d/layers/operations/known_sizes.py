"""Static sizes of clips, where a data pipeline does not know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def with_known_sizes(clips: Any, sizes: Sequence[int | None]) -> Any:
    """Returns clips with static sizes, which those of `from_generator` or `py_function` may lack.

    TensorFlow then checks the sizes when it runs, and raises an error with both shapes if they
    differ.

    Args:
        clips: tensor of shape (batch, *sizes), which TensorFlow may not know, not even its rank.
        sizes: sizes without the batch; None for any.
    """
    if keras.backend.backend() != "tensorflow":
        return clips
    import tensorflow as tf

    if not tf.is_symbolic_tensor(clips) or clips.shape[1:].is_fully_defined():
        return clips
    return tf.ensure_shape(clips, (None, *sizes))


def with_built_sizes(layer: Any, clips: Any) -> Any:
    """Returns clips with the static sizes that a layer was built for, where theirs are unknown."""
    built = layer.get_build_config()
    return with_known_sizes(clips, built["input_shape"][1:]) if built else clips
