"""Runs the steps of a stream with a Keras model in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_t3d.inference.stream_predictor import StreamPredictor
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.streaming import StreamingForm, StreamOptions


def keras_stream(model: VideoClassifier, options: StreamOptions | None = None) -> StreamPredictor:
    """Returns the predictor of a causal model's steps; see KerasSteps."""
    steps = KerasSteps(model, options)
    return StreamPredictor(steps, model.class_names, model.clip_spec, steps.form.frames_per_step)


class KerasSteps:
    """A causal model as a function from frames and state to both after a step.

    Args:
        model: the VideoClassifier, on any Keras backend.
        options: what the answer is about; None for the mean over all frames.

    Raises:
        InvalidArgumentError: if the model does not return logits or probabilities of one class of
            many.
        StreamingError: if it is not causal.
    """

    def __init__(self, model: VideoClassifier, options: StreamOptions | None = None) -> None:
        self._returns_logits = model.check_classifies() == "logits"
        self.form = StreamingForm(model, options)
        self._step: Any = self.form.step
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self._step = tf.function(self.form.step, autograph=False, reduce_retracing=True)
        elif keras.backend.backend() == "torch":
            import torch

            # Or the state would hold all steps before, for their gradients.
            self._step = torch.no_grad()(self.form.step)

    def initial_state(self) -> dict[str, Any]:
        """Returns the state before the first frame."""
        return self.form.initial_state()

    def __call__(
        self, frames: np.ndarray, state: Mapping[str, Any]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Maps frames, uint8 (1, n, H, W, 3), to probabilities, float32 (1, classes), and state."""
        outputs, after = self._step(keras.ops.convert_to_tensor(frames), dict(state))
        probabilities = keras.ops.softmax(outputs) if self._returns_logits else outputs
        return keras.ops.convert_to_numpy(probabilities), after
