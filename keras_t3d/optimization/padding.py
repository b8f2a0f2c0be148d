"""Loss and metrics of batches that are filled up with clips that do not count.

Keras's `metrics` ignore sample weights, so padding must be marked in another way: see
`keras_t3d.clips.padded_labels`.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_t3d.clips.padded_labels import LABELS, WEIGHTS, is_padded
from keras_t3d.private_interfaces import update_metrics


class PaddingAware:
    """Base class, before that of Keras, of models that leave padding out of loss and metrics."""

    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Returns Keras's loss of a batch, without the clips that only fill it up."""
        y, sample_weight = _without_padding(y, sample_weight)
        return super().compute_loss(x, y, y_pred, sample_weight, training)  # type: ignore[misc]

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Returns Keras's metrics, without the clips that only fill a batch up."""
        if not is_padded(y):
            return super().compute_metrics(x, y, y_pred, sample_weight)  # type: ignore[misc]
        is_real = ops.cast(y[WEIGHTS] > 0, "float32")
        update_metrics(self, y[LABELS], y_pred, is_real, _product(is_real, sample_weight))
        return self.get_metrics_result()  # type: ignore[attr-defined]


def _without_padding(labels: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Returns labels and sample weights with which Keras computes the loss of the real clips."""
    if not is_padded(labels):
        return labels, sample_weight
    return labels[LABELS], _product(labels[WEIGHTS], sample_weight)


def _product(weights: Any, sample_weight: Any) -> Any:
    if sample_weight is None:
        return weights
    return weights * ops.cast(ops.reshape(sample_weight, ops.shape(weights)), "float32")
