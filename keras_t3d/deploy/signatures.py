"""Signatures of the exported SavedModel: from frames to class names, in one graph."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_t3d.artifact_files import LABELS, artifact_texts
from keras_t3d.clips import (
    ClipSpec,
    clip_frames_tensorflow,
    resize_and_crop_tensorflow,
    take_view_tensorflow,
)
from keras_t3d.deploy.comparison import probabilities_of
from keras_t3d.deploy.errors import ExportError, in_one_line
from keras_t3d.deploy.files_signature import files_signature
from keras_t3d.deploy.folding import fold
from keras_t3d.deploy.network import in_float32, outputs_and_embedding
from keras_t3d.deploy.request_checks import (
    checked_encoded,
    checked_jpeg,
    checked_videos,
    checked_views,
)
from keras_t3d.models import VideoClassifier
from keras_t3d.private_interfaces import forget_gradients

_TOP = 5  # number of classes returned with a name
_PARALLEL_FRAMES = 4  # JPEG images decoded at once, on one core each: 0.3 GB for 4096 x 4096


def write_graph(model: VideoClassifier, folder: Path, frozen: bool) -> None:
    """Writes the SavedModel with all its signatures, which share one copy of the weights.

    Args:
        model: the model.
        folder: directory of the version, with the text files in `assets.extra/`.
        frozen: whether the weights become constants of a folded graph.

    Raises:
        InvalidArgumentError: if the model has no embedding layer.
    """
    clip_spec = model.clip_spec
    graph = outputs_and_embedding(model)  # kept alive until all is written
    network = _trace(graph, clip_spec, frozen)
    predict = _top_classes(model, network)
    video = tf.TensorSpec((None, None, None, None, 3), tf.uint8, name="clips")
    frames = tf.TensorSpec((None, None), tf.string, name="frames")
    view = tf.TensorSpec((None, *clip_spec.input_shape), tf.uint8, name="clips")

    @tf.function(input_signature=[video])
    def serve_clips(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return predict(_centre_views(checked_videos(clips, "serving_default"), clip_spec))

    @tf.function(input_signature=[frames])
    def serve_jpeg(frames: tf.Tensor) -> dict[str, tf.Tensor]:
        return predict(centre_views_of_encoded(checked_encoded(frames), clip_spec))

    @tf.function(input_signature=[view])
    def views(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return predict(checked_views(clips))

    @tf.function(input_signature=[video])
    def features(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "embedding": network(_centre_views(checked_videos(clips, "features"), clip_spec))[1]
        }

    served = tf.Module()
    served.labels = tf.saved_model.Asset(str(folder / "assets.extra" / LABELS))
    # A folded network has none, unless a layer holds a variable that Keras does not track.
    captured = {id(tensor) for tensor in network.captured_inputs}
    served.captured = [v for v in network.graph.variables if id(v.handle) in captured]
    signatures = {
        "serving_default": serve_clips,
        "serve_jpeg": serve_jpeg,
        "views": views,
        "features": features,
        "files": files_signature(artifact_texts(model.class_names, clip_spec)),
    }
    # Gradients of the graph would store its constants a second time.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(served, str(folder), signatures, options)


def _trace(graph: keras.Model, clip_spec: ClipSpec, frozen: bool) -> Any:
    """Traces the function from views to outputs and embedding once for all signatures.

    If each signature traced it, each would store its constants.
    """
    network = fold(graph) if frozen else functools.partial(in_float32(graph), training=False)
    views = tf.TensorSpec((None, *clip_spec.input_shape), tf.uint8)
    try:
        traced = tf.function(network, autograph=False).get_concrete_function(views)
    except ExportError:
        raise
    except Exception as error:
        if not frozen:  # folding computes layer by layer, and names the one that fails
            tf.function(fold(graph), autograph=False).get_concrete_function(views)
        raise ExportError(
            f"The model cannot be computed in a TensorFlow graph: {in_one_line(error)}. Compute "
            f"with keras.ops in its layers. Received: {graph.name!r}"
        ) from error
    forget_gradients(traced.graph)
    return traced


def _top_classes(
    model: VideoClassifier, network: Any
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the function from views to probabilities and the classes of the largest ones."""
    names, probabilities_from = list(model.class_names), probabilities_of(model)

    def predict(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs, _ = network(clips)
        probabilities = probabilities_from(outputs)
        scores, classes = tf.math.top_k(probabilities, min(_TOP, len(names)))
        return {
            "probabilities": probabilities,
            "top_classes": tf.gather(tf.constant(names), classes),
            "top_scores": scores,
        }

    return predict


def _centre_views(clips: tf.Tensor, clip_spec: ClipSpec) -> tf.Tensor:
    return tf.map_fn(
        lambda frames: take_view_tensorflow(frames, clip_spec),
        clips,
        # Resizing uses all cores, and memory of several times a view's frames.
        parallel_iterations=1,
        fn_output_signature=tf.TensorSpec(clip_spec.input_shape, tf.uint8),
    )


def centre_views_of_encoded(frames: tf.Tensor, clip_spec: ClipSpec) -> tf.Tensor:
    """Returns the centre views of JPEG videos; only the frames of the view are decoded.

    A few frames are decoded at a time, so that large ones do not fill the memory.
    """
    frame_spec = dataclasses.replace(clip_spec, num_frames=1)

    def view(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(checked_jpeg(encoded), channels=3)
        return resize_and_crop_tensorflow(image[None], frame_spec)[0]

    chosen = tf.gather(frames, clip_frames_tensorflow(tf.shape(frames)[1], clip_spec), axis=1)
    views = tf.map_fn(
        view,
        tf.reshape(chosen, (-1,)),
        parallel_iterations=_PARALLEL_FRAMES,
        fn_output_signature=tf.TensorSpec(clip_spec.input_shape[1:], tf.uint8),
    )
    return tf.reshape(views, (-1, *clip_spec.input_shape))
