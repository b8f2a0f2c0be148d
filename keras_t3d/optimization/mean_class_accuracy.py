"""Mean class accuracy, and the confusion matrix it is computed from."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_t3d")
class MeanClassAccuracy(keras.metrics.Metric):
    """Mean of the accuracies of all classes: rare classes count as much as frequent ones.

    `counts` is the confusion matrix, of shape (true classes, predicted classes).

    Args:
        num_classes: number of classes.
        name: name of the metric.
        **kwargs: `dtype`, as for any Keras metric.

    Example:

    ```python
    metric = MeanClassAccuracy(2)
    metric(np.array([0, 0, 0, 1]), np.eye(2)[[0, 0, 0, 0]])  # (1 + 0) / 2
    ```
    """

    def __init__(self, num_classes: int, name: str = "mean_class_accuracy", **kwargs: Any) -> None:
        # Not Keras's global float type: float16 counts no further than 2048.
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        self.num_classes = num_classes
        self.counts = self.add_variable(
            (num_classes, num_classes), initializer="zeros", name="counts"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == self.num_classes > 1:
            y_true = ops.argmax(y_true, -1)  # mixed: the class with the larger share
        ids = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        true = ops.one_hot(ids, self.num_classes, dtype="float32")
        predicted = ops.one_hot(ops.argmax(y_pred, -1), self.num_classes, dtype="float32")
        if sample_weight is not None:
            weight = ops.cast(ops.reshape(sample_weight, (-1, 1)), true.dtype)
            true = true * weight
        counted = ops.matmul(ops.transpose(true), predicted)
        self.counts.assign_add(ops.cast(counted, self.counts.dtype))

    def result(self) -> Any:
        of_class = ops.sum(self.counts, axis=1)
        accuracy = ops.diagonal(self.counts) / ops.maximum(of_class, 1e-9)
        known = ops.cast(of_class > 0, accuracy.dtype)
        return ops.sum(accuracy * known) / ops.maximum(ops.sum(known), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
