"""Loss and metrics of batches that are filled up with clips that do not count.

Keras's `metrics` ignore sample weights, so padding must be marked in another way: see
`keras_t3d.clips.padded_labels`. For losses it becomes a mask of the outputs, which Keras leaves out
by the rule of each loss's `reduction`.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_t3d.clips.padded_labels import LABELS, WEIGHTS, is_padded
from keras_t3d.private_interfaces import masked_outputs, update_metrics

_REAL_CLIPS: contextvars.ContextVar[Any] = contextvars.ContextVar("real_clips", default=None)


class PaddingAware:
    """Base class, before that of Keras, of models that leave padding out of loss and metrics."""

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles as Keras does, with a mean loss per real clip."""
        super().compile(*args, **kwargs)  # type: ignore[misc]
        # As Keras sets it: `self._loss_tracker = ...` would also add it to the model's metrics.
        vars(self)["_loss_tracker"] = _MeanOfRealClips(name="loss")

    def train_step(self, *args: Any) -> Any:
        """Trains one step; the arguments depend on the backend, and the last one is the batch."""
        with _counting_real_clips(args[-1]):
            return super().train_step(*args)  # type: ignore[misc]

    def test_step(self, *args: Any) -> Any:
        """Evaluates a batch, the last argument."""
        with _counting_real_clips(args[-1]):
            return super().test_step(*args)  # type: ignore[misc]

    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Returns Keras's loss of a batch, without the clips that only fill it up."""
        if not is_padded(y):
            return super().compute_loss(x, y, y_pred, sample_weight, training)  # type: ignore[misc]
        with masked_outputs(y_pred, y[WEIGHTS] > 0):
            return super().compute_loss(  # type: ignore[misc]
                x, y[LABELS], y_pred, sample_weight, training
            )

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Returns Keras's metrics, without the clips that only fill a batch up."""
        if not is_padded(y):
            return super().compute_metrics(x, y, y_pred, sample_weight)  # type: ignore[misc]
        is_real = ops.cast(y[WEIGHTS] > 0, "float32")
        weights = is_real
        if sample_weight is not None:
            weights *= ops.cast(ops.reshape(sample_weight, ops.shape(is_real)), "float32")
        update_metrics(self, y[LABELS], y_pred, is_real, weights)
        return self.get_metrics_result()  # type: ignore[attr-defined]


class _MeanOfRealClips(keras.metrics.Mean):
    """Keras's mean loss, in which a padded batch has the weight of its real clips."""

    def update_state(self, values: Any, sample_weight: Any = None) -> Any:
        real_clips = _REAL_CLIPS.get()
        if real_clips is None:
            return super().update_state(values, sample_weight)
        if len(values.shape) > 0:  # a loss of each clip, 0 for padding
            values = ops.divide_no_nan(ops.sum(values), ops.cast(real_clips, values.dtype))
        return super().update_state(values, real_clips)


@contextlib.contextmanager
def _counting_real_clips(batch: Any) -> Iterator[None]:
    """Tells the mean loss how many clips of the batch of this step, in this thread, are real."""
    _, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
    real_clips = None
    if is_padded(labels):
        real_clips = ops.sum(ops.cast(labels[WEIGHTS] > 0, "float32"))
    token = _REAL_CLIPS.set(real_clips)
    try:
        yield
    finally:
        _REAL_CLIPS.reset(token)
