"""The compiled form of a Keras model, made once and kept with the model."""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_t3d.models.outputs import OutputsAre
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.private_interfaces import flatten_layers, forget_gradients

_KEPT = "keras_t3d_compiled"  # attribute of a model
_LOCK = threading.Lock()


class CompiledModel:
    """A model as a function from uint8 clips to its outputs, safe from several threads.

    It refers to its model weakly, as the model keeps it.

    Args:
        model: the VideoClassifier.
        structure: what the function depends on besides the values of the weights.

    Attributes:
        outputs_are: whether the outputs are logits or probabilities.
        structure: as given.
    """

    def __init__(self, model: VideoClassifier, structure: list[Any]) -> None:
        self.outputs_are: OutputsAre = model.check_classifies()
        self.structure = structure
        self._run = compiled_function(model)

    def __call__(self, clips: np.ndarray) -> Any:
        return self._run(clips)


def compiled(model: VideoClassifier) -> CompiledModel:
    """Returns the compiled form of a model, anew if its layers have changed.

    Raises:
        InvalidArgumentError: if the model does not return logits or probabilities of one class of
            many.
    """
    with _LOCK:
        structure = _structure(model)
        kept = vars(model).get(_KEPT)
        if kept is None or not _are_same(kept.structure, structure):
            kept = CompiledModel(model, structure)
            # Not setattr: Keras would track it, and export it with the model.
            object.__setattr__(model, _KEPT, kept)
        return kept


def _structure(model: VideoClassifier) -> list[Any]:
    """Returns what a compiled function keeps of a model: all but the values of the weights."""
    layers = flatten_layers(model, include_self=False)
    activations = [getattr(layer, "activation", None) for layer in layers]
    return [model.declared_outputs, *layers, *activations, *model.variables]


def _are_same(before: list[Any], now: list[Any]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


def compiled_function(model: VideoClassifier) -> Callable[[np.ndarray], Any]:
    """Returns a function from uint8 clips to the outputs of a model, to which it refers weakly."""
    reference = weakref.ref(model)
    if keras.backend.backend() != "tensorflow":
        # Keras's function hands the state of the model over, in attributes of the model.
        lock = threading.Lock()
        model.make_predict_function(force=True)

        def run(clips: np.ndarray) -> Any:
            with lock:
                return _alive(reference).predict_on_batch(clips)

        return run
    import tensorflow as tf

    # Not `model.predict`, which compiles with XLA and is several times slower on CPU.
    signature = tf.TensorSpec((None, *model.clip_spec.input_shape), tf.uint8)
    function = tf.function(
        lambda clips: _alive(reference)(clips, training=False), input_signature=[signature]
    )
    forget_gradients(function.get_concrete_function().graph)
    return function


def _alive(reference: weakref.ref[VideoClassifier]) -> Any:
    model = reference()
    assert model is not None  # its predictor keeps it
    return model
