"""Loss and metrics of batches that are filled up with clips that do not count.

Keras's `metrics` ignore sample weights, so padding must be marked in another way: see
`keras_t3d.clips.padded_labels`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_t3d.clips.padded_labels import LABELS, WEIGHTS, is_padded
from keras_t3d.private_interfaces import update_metrics


def without_padding(labels: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Returns labels and sample weights with which Keras computes the loss of the real clips."""
    if not is_padded(labels):
        return labels, sample_weight
    return labels[LABELS], _product(labels[WEIGHTS], sample_weight)


def track_metrics(model: keras.Model, labels: Any, outputs: Any, sample_weight: Any) -> bool:
    """Updates the metrics of a model by the real clips of a batch, if it is padded.

    Args:
        model: compiled Keras model with one output.
        labels: labels of the batch.
        outputs: outputs of the model.
        sample_weight: weights for `weighted_metrics`, as for `keras.Model.fit`.

    Returns:
        Whether the batch is padded; if not, nothing was updated.
    """
    if not is_padded(labels):
        return False
    is_real = ops.cast(labels[WEIGHTS] > 0, "float32")
    update_metrics(model, labels[LABELS], outputs, is_real, _product(is_real, sample_weight))
    return True


def _product(weights: Any, sample_weight: Any) -> Any:
    if sample_weight is None:
        return weights
    return weights * ops.cast(ops.reshape(sample_weight, ops.shape(weights)), "float32")
