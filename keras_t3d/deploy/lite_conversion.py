"""Networks to LiteRT files that compute in floats; `integer_conversion.py` has whole numbers."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_t3d.deploy.convolution_2d import Convolve, add_taps, join_frames
from keras_t3d.deploy.lowering import lower
from keras_t3d.models import VideoClassifier


def convert(model: VideoClassifier, quantization: str) -> bytes:
    """Returns a LiteRT file that computes in floats.

    Args:
        model: VideoClassifier.
        quantization: how weights are stored: `"none"` (float32), `"float16"`, or `"dynamic"`
            (8 bits; what a layer reads is rounded to 8 bits too, by its range at hand).
    """
    # Whole numbers are multiplied in "dynamic": one rounded sum, not one a tap.
    convolve = join_frames if quantization == "dynamic" else add_taps

    def prepare(converter: Any) -> None:
        if quantization != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]

    return converted(model, convolve, tf.uint8, prepare)


def converted(
    model: VideoClassifier, convolve: Convolve, dtype: Any, prepare: Callable[[Any], None]
) -> bytes:
    """Returns what TensorFlow's converter makes of the network's signature.

    Args:
        model: VideoClassifier.
        convolve: see `lower`.
        dtype: of the clip.
        prepare: sets the attributes of a `tf.lite.TFLiteConverter`.
    """
    # The lowered function holds constants, no variables: there is nothing to freeze.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [_classifying(model, convolve, dtype).get_concrete_function()], tf.Module()
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    prepare(converter)
    content = converter.convert()
    # Its graphs, a dozen copies of all weights, refer to each other.
    del converter
    gc.collect()
    return content


def _classifying(model: VideoClassifier, convolve: Convolve, dtype: Any) -> Any:
    logits_of = lower(model, convolve)
    shape = model.clip_spec.input_shape

    @tf.function(input_signature=[tf.TensorSpec((1, *shape), dtype, name="clip")])
    def classify(clip: tf.Tensor) -> dict[str, tf.Tensor]:
        frames = tf.reshape(clip, shape)
        return {"probabilities": tf.nn.softmax(logits_of(tf.cast(frames, tf.float32)))}

    return classify
