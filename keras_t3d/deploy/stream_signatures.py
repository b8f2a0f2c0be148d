"""Signatures of the SavedModel of a stream: a step, the state before the first one, and files."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from keras_t3d.artifact_files import LABELS, artifact_texts
from keras_t3d.deploy.comparison import probabilities_of
from keras_t3d.deploy.files_signature import files_signature
from keras_t3d.private_interfaces import forget_gradients
from keras_t3d.streaming import StreamingForm


def write_stream_graph(stream: StreamingForm, folder: Path) -> None:
    """Writes the SavedModel of a stream.

    Args:
        stream: the streaming form of the model.
        folder: directory of the version, with the text files in `assets.extra/`.
    """
    probabilities = probabilities_of(stream.model)
    shape = (None, stream.frames_per_step, *stream.model.clip_spec.input_shape[1:])
    state_specs = {
        name: tf.TensorSpec((None, *size), name=name) for name, size in stream.state_shapes.items()
    }

    def step(frames: tf.Tensor, **state: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs, after = stream.step(frames, state)
        return {"probabilities": probabilities(outputs), **after}

    @tf.function(input_signature=[tf.TensorSpec((), tf.int64, name="batch")])
    def initial_state(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: tf.zeros([batch, *size]) for name, size in stream.state_shapes.items()}

    traced = tf.function(step, autograph=False).get_concrete_function(
        frames=tf.TensorSpec(shape, tf.uint8, name="frames"), **state_specs
    )
    forget_gradients(traced.graph)
    served = tf.Module()
    served.labels = tf.saved_model.Asset(str(folder / "assets.extra" / LABELS))
    served.captured = list(traced.graph.variables)
    model = stream.model
    texts = artifact_texts(model.class_names, model.clip_spec, stream.describe())
    signatures = {
        "step": traced,
        "initial_state": initial_state,
        "files": files_signature(texts),
    }
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(served, str(folder), signatures, options)
