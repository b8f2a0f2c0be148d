"""Predicts with a Keras model in memory."""

from __future__ import annotations

import keras
import numpy as np

from keras_t3d.inference.compiled_model import compiled
from keras_t3d.inference.keras_steps import keras_stream
from keras_t3d.inference.predictor import validate_clips
from keras_t3d.inference.stream_predictor import StreamPredictor
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.private_interfaces import flatten_layers
from keras_t3d.streaming import StreamingError, StreamOptions
from keras_t3d.streaming.averages import pooled_frames


class KerasPredictor:
    """A Predictor for a VideoClassifier, on any Keras backend, safe from several threads.

    It follows later changes of the model's weights and layers.

    Args:
        model: the VideoClassifier, whose compiled form all its predictors share.

    Raises:
        InvalidArgumentError: if the model does not return logits or probabilities of one class of
            many.

    Example:

    ```python
    model = keras_t3d.models.T3D121(input_shape=(16, 112, 112, 3), num_classes=2)
    KerasPredictor(model).probabilities(np.zeros((1, 16, 112, 112, 3), np.uint8)).shape  # (1, 2)
    ```
    """

    def __init__(self, model: VideoClassifier) -> None:
        self.clip_spec = model.clip_spec
        self.class_names = model.class_names
        self._model = model
        compiled(model)  # so that a model that is refused is refused here

    def streaming(self) -> StreamPredictor | None:
        """Returns the predictor of a causal model's steps; None if the model is not causal.

        An answer is about the last steps, as many as a clip has.
        """
        layers = flatten_layers(self._model)
        if not any(getattr(layer, "causal", False) for layer in layers):
            return None
        try:
            steps = pooled_frames(self._model)
            options = StreamOptions(average_over="window", average_steps=steps)
            return keras_stream(self._model, options)
        except StreamingError:  # of layers that are not causal, or that read whole clips
            return None

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        network = compiled(self._model)
        outputs = network(validate_clips(clips, self.clip_spec))
        values = keras.ops.cast(outputs, "float32")
        if network.outputs_are == "logits":
            values = keras.ops.softmax(values)
        return keras.ops.convert_to_numpy(values)
