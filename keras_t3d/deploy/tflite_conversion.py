"""Converts models to LiteRT files that compute in floats; see `integer_conversion` for int8."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_t3d.deploy.convolution import Convolve
from keras_t3d.deploy.convolution_2d import add_taps, join_frames
from keras_t3d.deploy.errors import ExportError, in_one_line
from keras_t3d.deploy.tflite_dense import with_scales_after
from keras_t3d.deploy.tflite_forms import LiteRTForm, form_of
from keras_t3d.models import VideoClassifier


def convert(model: VideoClassifier | LiteRTForm, quantization: str) -> bytes:
    """Returns the content of a LiteRT file that computes in floats.

    Args:
        model: the model, or a form of it.
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

    content = run_converter(model, convolve, tf.uint8, prepare)
    return with_scales_after(content) if quantization == "dynamic" else content


def run_converter(
    model: VideoClassifier | LiteRTForm,
    convolve: Convolve,
    dtype: Any,
    prepare: Callable[[Any], None],
) -> bytes:
    """Returns TensorFlow's conversion of the model's signature.

    Args:
        model: the model, or a form of it.
        convolve: see `lower`.
        dtype: type of the pixels.
        prepare: sets the attributes of a `tf.lite.TFLiteConverter`.
    """
    form = form_of(model)
    # The lowered function holds constants, no variables: there is nothing to freeze.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [form.trace(convolve, dtype)], tf.Module()
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    prepare(converter)
    try:
        content = converter.convert()
    except Exception as error:
        missing = re.search("(?:TF Select|Custom) ops: (.*)", str(error))
        problem = f"LiteRT has no {missing.group(1)}" if missing else in_one_line(error)
        raise ExportError(
            f"TensorFlow's converter rejects the model: {problem}. Build its layers from those "
            f"that docs/reference/exports.md lists. Received: {form.model.name!r}"
        ) from error
    # Its graphs, a dozen copies of all weights, refer to each other.
    del converter
    gc.collect()
    return content
