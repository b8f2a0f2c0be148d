"""Makes the content of a `.tflite` file, and compares it with Keras."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import loky
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_t3d.deploy.comparison import (
    NUM_CLIPS,
    check_difference,
    clip_batches,
    comparison_clips,
)
from keras_t3d.deploy.integer_conversion import IntegerConversion, LayerError
from keras_t3d.deploy.options import TFLiteOptions
from keras_t3d.deploy.quantization_report import (
    CALIBRATION_CLIPS,
    MeasuredFile,
    QuantizationReport,
    check_correlation,
    measure,
)
from keras_t3d.deploy.tflite_conversion import convert
from keras_t3d.deploy.tflite_forms import LiteRTForm, number_of_clips
from keras_t3d.deploy.tflite_operations import check_builtins_only

# Largest allowed difference of a probability from the Keras model's, by quantization.
TOLERANCES = {"none": 1e-4, "float16": 2e-2}


def content_of_floats(
    form: LiteRTForm, options: TFLiteOptions, calibration: Any
) -> tuple[bytes, float, int]:
    """Returns a file's content, its largest difference from Keras, and the number of clips."""
    clips = comparison_clips(form.clip_spec, calibration, number_of_clips(form, NUM_CLIPS))
    content = convert(form, options.quantization)
    check_builtins_only(content)
    difference = float(np.abs(form.found(content, clips) - form.expected(clips)).max())
    check_difference(difference, TOLERANCES[options.quantization])
    return content, difference, len(clips)


def content_of_8_bits(
    form: LiteRTForm, options: TFLiteOptions, calibration: Any, evaluation: Any
) -> tuple[bytes, QuantizationReport]:
    """Returns a file's content, and the effect of 8 bits."""
    clips = comparison_clips(form.clip_spec, calibration, number_of_clips(form, CALIBRATION_CLIPS))
    errors: list[LayerError] = []
    if options.quantization == "int8":
        conversion = IntegerConversion(form, clips)
        content = conversion.convert(options)
        errors = conversion.layer_errors(options)
    else:
        content = convert(form, options.quantization)
    check_builtins_only(content)
    measured = clips if evaluation is None else evaluation
    batches = clip_batches(form.clip_spec, measured, "evaluation")
    report = measure(
        form.expected,
        functools.partial(form.found, content),
        batches,
        (litert_file(convert(form, "none")), litert_file(content)),
        tuple(errors),
        form.probability_step(content),
    )
    if form.stream is not None:
        report = dataclasses.replace(report, unit="step")
    check_correlation(report, options.quantization)
    return content, report


def litert_file(content: bytes) -> MeasuredFile:
    """Returns what measures a `.tflite` file."""
    interpreter = Interpreter(model_content=content, num_threads=loky.cpu_count())
    interpreter.allocate_tensors()
    return MeasuredFile(len(content), interpreter.invoke)
