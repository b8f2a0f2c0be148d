"""The function of an artifact for other runtimes: from clips or videos to probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_t3d.clips import ClipSpec, views_of_videos_tensorflow
from keras_t3d.deploy.comparison import probabilities_of
from keras_t3d.deploy.folding import fold
from keras_t3d.deploy.network import outputs_and_embedding
from keras_t3d.deploy.portable_graph import PORTABLE_RULES
from keras_t3d.inference.predictor import CLIPS, EMBEDDING, PROBABILITIES
from keras_t3d.models import VideoClassifier
from keras_t3d.private_interfaces import forget_gradients

Function = Callable[[tf.Tensor], Any]


def trace_network(model: VideoClassifier) -> Any:
    """Returns the concrete function from views to probabilities and embeddings.

    Raises:
        InvalidArgumentError: if the model has no embedding layer.
        UntraceableLayerError: if TensorFlow cannot compute a layer in a graph.
    """
    return _traced(_network(model), (None, *model.clip_spec.input_shape))


def trace_views(clip_spec: ClipSpec) -> Any:
    """Returns the concrete function from uint8 videos of any size to views.

    A video of exactly the sizes of a view is one. Of others it takes the centre view.
    """
    return _traced(_views(clip_spec), _VIDEOS)


def function_of_videos(model: VideoClassifier) -> Any:
    """Returns the `tf.function` from such videos to probabilities and embeddings."""
    views, network = _views(model.clip_spec), _network(model)
    return _function(lambda clips: network(views(clips)), _VIDEOS)


_VIDEOS = (None, None, None, None, 3)


def _network(model: VideoClassifier) -> Function:
    network = fold(outputs_and_embedding(model), PORTABLE_RULES)
    probabilities_from = probabilities_of(model)

    def classify(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs, embedding = network(clips)
        return {PROBABILITIES: probabilities_from(outputs), EMBEDDING: embedding}

    return classify


def _views(clip_spec: ClipSpec) -> Function:
    return lambda clips: views_of_videos_tensorflow(clips, clip_spec)


def _function(function: Function, shape: tuple[int | None, ...]) -> Any:
    # Without AutoGraph, which would wrap an error of a layer into many lines.
    signature = [tf.TensorSpec(shape, tf.uint8, name=CLIPS)]
    return tf.function(function, input_signature=signature, autograph=False)


def _traced(function: Function, shape: tuple[int | None, ...]) -> Any:
    traced = _function(function, shape).get_concrete_function()
    forget_gradients(traced.graph)
    return traced
