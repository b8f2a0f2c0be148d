"""Predicts with a Keras model in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_t3d.inference.predictor import validate_clips
from keras_t3d.models.video_classifier import VideoClassifier


class KerasPredictor:
    """A Predictor for a VideoClassifier, on any Keras backend.

    Args:
        model: the VideoClassifier.

    Raises:
        ValueError: if the model has no classification layer.

    Example:

    ```python
    model = keras_t3d.models.T3D121(input_shape=(16, 112, 112, 3), num_classes=2)
    KerasPredictor(model).probabilities(np.zeros((1, 16, 112, 112, 3), np.uint8)).shape  # (1, 2)
    ```
    """

    def __init__(self, model: VideoClassifier) -> None:
        model.check_classifies()
        self.clip_spec = model.clip_spec
        self.class_names = model.class_names
        self._logits = _compile(model)

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        logits = keras.ops.cast(self._logits(validate_clips(clips, self.clip_spec)), "float32")
        return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def _compile(model: VideoClassifier) -> Callable[[np.ndarray], Any]:
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    import tensorflow as tf

    # Not `model.predict`, which compiles with XLA and is several times slower on CPU.
    signature = tf.TensorSpec((None, *model.clip_spec.input_shape), tf.uint8)
    return tf.function(lambda clips: model(clips, training=False), input_signature=[signature])
