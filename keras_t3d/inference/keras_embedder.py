"""Embeds clips with a Keras model in memory."""

from __future__ import annotations

import keras
import numpy as np

from keras_t3d.inference.compiled_model import compiled_function
from keras_t3d.inference.predictor import validate_clips
from keras_t3d.models.embedding import embedding_of
from keras_t3d.models.video_classifier import VideoClassifier


class KerasEmbedder:
    """Computes the features of clips that a classifying layer reads, on any Keras backend.

    Args:
        model: the VideoClassifier, with its classifying layer or without.

    Raises:
        InvalidArgumentError: if it has no layer named `embedding`.

    Example:

    ```python
    model = keras_t3d.models.T3D121(input_shape=(16, 112, 112, 3), num_classes=2)
    clips = np.zeros((1, 16, 112, 112, 3), np.uint8)
    KerasEmbedder(model).embeddings(clips).shape  # (1, width)
    ```
    """

    def __init__(self, model: VideoClassifier) -> None:
        self.clip_spec = model.clip_spec
        self.class_names = model.class_names
        inputs, outputs = model.inputs, embedding_of(model)
        self._network = VideoClassifier(inputs, outputs, model.clip_spec, class_names=())
        self._run = compiled_function(self._network)

    def embeddings(self, clips: np.ndarray) -> np.ndarray:
        """Maps uint8 clips `(n, *clip_spec.input_shape)` to float32 `(n, width)`."""
        outputs = self._run(validate_clips(clips, self.clip_spec))
        return keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
