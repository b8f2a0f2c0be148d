"""Cross-entropy with label smoothing and class weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError

_LEAST_PROBABILITY = 1e-7


@keras.saving.register_keras_serializable(package="keras_t3d")
class CrossEntropy(keras.losses.Loss):
    """Cross-entropy with class ids, or with one-hot labels or shares of classes.

    Ids have the shape `(batch,)` or `(batch, 1)`, shares of classes `(batch, classes)`. The loss of
    an id that is no class, below 0 or too large, is NaN: data and network differ in their classes.

    ```
    target = (1 - smoothing) * label + smoothing / classes
    loss   = weight(label) * -sum(target * log(p)), of probabilities p or p = softmax(logits)
    ```

    The weight of a mixed label is the mean of its classes' weights. Unlike `class_weight` of
    `fit`, the weights do not change the metrics.

    Args:
        label_smoothing: share of each label that is spread over all classes, in [0, 1).
        class_weights: weight of each class, at least 0; None is 1 for all.
        from_logits: whether the model returns logits, not probabilities.
        **kwargs: `name`, `reduction` and `dtype`, as for any Keras loss.

    Raises:
        InvalidArgumentError: if a value is out of its range.

    Example:

    ```python
    CrossEntropy(label_smoothing=0.1)(np.array([2]), np.zeros((1, 5)))  # log(5) = 1.609
    ```

    Reference:
        Szegedy et al., "Rethinking the Inception Architecture", 2016 (label smoothing).
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})  # not Keras's global float type
        if not 0 <= label_smoothing < 1:
            raise InvalidArgumentError(
                "`label_smoothing` must be in [0, 1), for example 0.1. "
                f"Received: {label_smoothing!r}",
                argument="label_smoothing",
            )
        if class_weights is not None and not all(weight >= 0 for weight in class_weights):
            raise InvalidArgumentError(
                f"`class_weights` must be at least 0. Received: {class_weights!r}",
                argument="class_weights",
            )
        self.label_smoothing = label_smoothing
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]
        self.from_logits = from_logits

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_pred = ops.cast(y_pred, "float32")
        classes = y_pred.shape[-1]
        if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
            ids = ops.reshape(ops.cast(y_true, "int32"), (-1,))
            # `one_hot` would give zeros for other ids, whose loss is 0.
            is_class = ops.expand_dims((ids >= 0) & (ids < classes), -1)
            y_true = ops.where(is_class, ops.one_hot(ids, classes, dtype="float32"), float("nan"))
        target = y_true * (1.0 - self.label_smoothing) + self.label_smoothing / classes
        if self.from_logits:
            logarithms = ops.log_softmax(y_pred)
        else:
            logarithms = ops.log(ops.maximum(y_pred, _LEAST_PROBABILITY))
        loss = -ops.sum(target * logarithms, axis=-1)
        if self.class_weights is None:
            return loss
        weights = ops.convert_to_tensor(self.class_weights, "float32")
        return loss * ops.sum(y_true * weights, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "class_weights": self.class_weights,
            "from_logits": self.from_logits,
        }
