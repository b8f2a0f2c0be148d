"""Predicts with a Keras model in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_t3d.inference.predictor import checked_clips
from keras_t3d.models.video_classifier import VideoClassifier


class KerasPredictor:
    """A Predictor over a VideoClassifier, on whichever backend Keras runs.

    Args:
        model: VideoClassifier.

    Raises:
        ValueError: if it has no classes.
    """

    def __init__(self, model: VideoClassifier) -> None:
        model.check_classifies()
        self.clip_spec = model.clip_spec
        self.class_names = model.class_names
        self._logits = _compiled(model)

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        logits = keras.ops.cast(self._logits(checked_clips(clips, self.clip_spec)), "float32")
        return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def _compiled(model: VideoClassifier) -> Callable[[np.ndarray], Any]:
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    import tensorflow as tf

    # Not `model.predict`: it compiles with XLA, several times slower on CPU.
    signature = tf.TensorSpec((None, *model.clip_spec.input_shape), tf.uint8)
    return tf.function(lambda clips: model(clips, training=False), input_signature=[signature])
