"""Converts models to LiteRT files that compute in floats; see `integer_conversion` for int8."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_t3d.deploy.convolution import Convolve
from keras_t3d.deploy.convolution_2d import add_taps, join_frames
from keras_t3d.deploy.lowering import lower
from keras_t3d.models import VideoClassifier


def convert(model: VideoClassifier, quantization: str) -> bytes:
    """Returns the content of a LiteRT file that computes in floats.

    Args:
        model: the model.
        quantization: storage of the weights: `"none"` (float32), `"float16"`, or `"dynamic"`
            (8 bits; each layer's input is quantized to 8 bits at run time, by its range).
    """
    # "dynamic" multiplies integers: one rounded sum, not one for each temporal tap.
    convolve = join_frames if quantization == "dynamic" else add_taps

    def prepare(converter: Any) -> None:
        if quantization != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]

    return run_converter(model, convolve, tf.uint8, prepare)


def run_converter(
    model: VideoClassifier, convolve: Convolve, dtype: Any, prepare: Callable[[Any], None]
) -> bytes:
    """Returns TensorFlow's conversion of the model's signature.

    Args:
        model: the model.
        convolve: see `lower`.
        dtype: type of the input clip.
        prepare: sets the attributes of a `tf.lite.TFLiteConverter`.
    """
    # The lowered function holds constants, no variables: there is nothing to freeze.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [_signature(model, convolve, dtype).get_concrete_function()], tf.Module()
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    prepare(converter)
    content = converter.convert()
    # Its graphs, a dozen copies of all weights, refer to each other.
    del converter
    gc.collect()
    return content


def _signature(model: VideoClassifier, convolve: Convolve, dtype: Any) -> Any:
    outputs_of = lower(model, convolve)
    returns_logits = model.check_classifies() == "logits"
    shape = model.clip_spec.input_shape

    @tf.function(input_signature=[tf.TensorSpec((1, *shape), dtype, name="clip")])
    def classify(clip: tf.Tensor) -> dict[str, tf.Tensor]:
        frames = tf.reshape(clip, shape)
        outputs = outputs_of(tf.cast(frames, tf.float32))
        return {"probabilities": tf.nn.softmax(outputs) if returns_logits else outputs}

    return classify
