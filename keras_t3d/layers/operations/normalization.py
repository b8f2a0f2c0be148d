"""Batch normalization of clips, with the activation that follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

ACTIVATIONS: dict[str | None, Callable[[Any], Any]] = {
    None: lambda x: x,
    "relu": ops.relu,
    "relu6": ops.relu6,
}


def normalize_batch(
    clips: Any, gamma: Any, beta: Any, epsilon: float, activation: str | None
) -> tuple[Any, Any, Any]:
    """Normalizes by the statistics of the batch.

    Returns:
        The normalized clips in their own dtype; mean and (biased) variance of each channel,
        float32.
    """
    if _has_fused_kernel(clips):
        y, mean, variance = _normalize_in_tensorflow(
            clips, None, None, gamma, beta, epsilon, activation
        )
        # The fused operation returns the unbiased variance; Keras averages the biased one.
        count = ops.cast(ops.size(clips) // clips.shape[-1], "float32")
        return y, mean, variance * (count - 1.0) / count
    exact = clips if _is_double(clips) else ops.cast(clips, "float32")
    mean, variance = ops.moments(exact, axes=tuple(range(len(clips.shape) - 1)))
    y = ops.batch_normalization(exact, mean, variance, -1, beta, gamma, epsilon)
    return ops.cast(ACTIVATIONS[activation](y), clips.dtype), mean, variance


def normalize_by(
    clips: Any,
    mean: Any,
    variance: Any,
    gamma: Any,
    beta: Any,
    epsilon: float,
    activation: str | None,
) -> Any:
    """Normalizes by given statistics, as in inference."""
    if _has_fused_kernel(clips):
        return _normalize_in_tensorflow(clips, mean, variance, gamma, beta, epsilon, activation)[0]
    exact = clips if _is_double(clips) else ops.cast(clips, "float32")
    y = ops.batch_normalization(exact, mean, variance, -1, beta, gamma, epsilon)
    return ops.cast(ACTIVATIONS[activation](y), clips.dtype)


def _is_double(clips: Any) -> bool:
    return keras.backend.standardize_dtype(clips.dtype) == "float64"


def _has_fused_kernel(clips: Any) -> bool:
    return keras.backend.backend() == "tensorflow" and not _is_double(clips)


def _normalize_in_tensorflow(
    clips: Any,
    mean: Any,
    variance: Any,
    gamma: Any,
    beta: Any,
    epsilon: float,
    activation: str | None,
) -> tuple[Any, Any, Any]:
    """Normalizes by the given statistics, or by those of the batch for None.

    Folds time into the batch: TensorFlow fuses normalization and ReLU for 4-D tensors only.
    """
    import tensorflow as tf

    is_training = mean is None
    if is_training:
        mean = variance = tf.zeros((0,), tf.float32)
    folded = clips
    if clips.shape.rank == 5:
        frame = clips.shape[-3:] if clips.shape[-3:].is_fully_defined() else tf.shape(clips)[-3:]
        folded = tf.reshape(clips, tf.concat([[-1], frame], axis=0))
        folded.set_shape((None, *clips.shape[-3:]))
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=folded,
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=is_training,
    )
    y = ACTIVATIONS[activation](y)  # fused only if it precedes the reshape
    return tf.reshape(y, tf.shape(clips)) if clips.shape.rank == 5 else y, mean, variance
