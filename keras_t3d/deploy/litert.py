"""Exports a network as a LiteRT (TFLite) file that runs without TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_t3d.artifact_files import artifact_texts
from keras_t3d.atomic import written_beside
from keras_t3d.deploy.comparison import (
    check_classifier,
    check_difference,
    comparison_clips,
    largest_difference,
)
from keras_t3d.deploy.lowering import lower
from keras_t3d.deploy.weights import in_float32
from keras_t3d.models import VideoClassifier

# By how much a probability may differ from the Keras model's, by quantization.
TOLERANCES = {"none": 1e-4, "float16": 2e-2}
_LATER = ("dynamic", "int8")


@dataclasses.dataclass(frozen=True)
class TFLiteReport:
    """What `export_tflite` wrote.

    Args:
        path: Path of the file.
        num_bytes: int. Its size.
        quantization: str. How its weights are stored.
        largest_difference: float. Largest absolute difference of a probability from
            the Keras model's, over the clips compared.
        num_clips: int. Clips compared.
    """

    path: Path
    num_bytes: int
    quantization: str
    largest_difference: float
    num_clips: int


def export_tflite(
    model: VideoClassifier,
    path: str | os.PathLike[str],
    quantization: str = "none",
    calibration: Any = None,
) -> TFLiteReport:
    """Writes the network as a `.tflite` file of LiteRT builtins, and checks it against Keras.

    The file has one signature: `clip`, uint8 of shape (1, T, H, W, 3), pixels as they
    are, to `probabilities`, float32 of shape (1, classes). A zip at its end holds
    `labels.txt` (one class per line) and `clip_spec.json`.

    Args:
        model: VideoClassifier.
        path: str or path. The file to write; one that exists is replaced.
        quantization: `"none"` (float32), or `"float16"`, which halves the file.
            Defaults to `"none"`.
        calibration: uint8 array of shape (clips, T, H, W, 3) or an iterable of such
            batches, the clips to compare on; None compares on clips of the motion
            set. Defaults to `None`.

    Returns:
        A TFLiteReport.

    Raises:
        ValueError: if an argument is out of its range, or the network has a layer that
            LiteRT cannot run.
        RuntimeError: if the file's probabilities differ from the Keras model's by more
            than `TOLERANCES` allows. Nothing is written then.

    Example:

    ```python
    report = export_tflite(model, "t3d.tflite", quantization="float16")
    interpreter = ai_edge_litert.interpreter.Interpreter("t3d.tflite")
    scores = interpreter.get_signature_runner()(clip=clip[None])["probabilities"]
    ```
    """
    check_classifier(model)
    _check_quantization(quantization)
    path = Path(path)
    if path.is_dir():
        raise ValueError(
            f"`path` must name a file, for example {path / 'model.tflite'}. Received: a folder, "
            f"{path}"
        )
    if path.suffix != ".tflite":
        raise ValueError(
            f"`path` must end in .tflite, for example {path.name}.tflite. Received: {path}"
        )
    clips = comparison_clips(model.clip_spec, calibration)

    content = _convert(model, quantization)
    _check_builtins_only(content)
    difference = largest_difference(in_float32(model), clips, _Runner(content))
    check_difference(difference, TOLERANCES[quantization])

    with written_beside(path) as part:
        part.write_bytes(content)
        _append_associated_files(part, model)
    return TFLiteReport(path, path.stat().st_size, quantization, difference, len(clips))


def _check_quantization(quantization: str) -> None:
    if quantization in _LATER:
        raise ValueError(
            f"`quantization={quantization!r}` comes in a later release. Until then it must be "
            f"one of {tuple(TOLERANCES)}. Received: {quantization!r}"
        )
    if quantization not in TOLERANCES:
        raise ValueError(
            f"`quantization` must be one of {tuple(TOLERANCES)}. Received: {quantization!r}"
        )


def _convert(model: VideoClassifier, quantization: str) -> bytes:
    logits_of = lower(model)
    clip = tf.TensorSpec((1, *model.clip_spec.input_shape), tf.uint8, name="clip")

    @tf.function(input_signature=[clip])
    def classify(clip: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": tf.nn.softmax(logits_of(tf.cast(clip[0], tf.float32)))}

    # The lowered function holds constants, no variables: there is nothing to freeze.
    owner = tf.Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [classify.get_concrete_function()], owner
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantization == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def list_ops(path: str | os.PathLike[str]) -> list[str]:
    """Returns the names of the operations in a `.tflite` file, each once, sorted.

    Args:
        path: str or path. The file.

    Returns:
        Strings such as `"CONV_2D"`; operations that are no LiteRT builtins read
        `"CUSTOM:"` and their own name, for example `"CUSTOM:FlexConv3D"`.

    Example:

    ```python
    list_ops("t3d.tflite")  # ["ADD", "AVERAGE_POOL_2D", "CAST", "CONCATENATION", ...]
    ```
    """
    return _operations(Path(path).read_bytes())


def _operations(content: bytes) -> list[str]:
    codes = schema.Model.GetRootAs(content)
    names = {
        value: name for name, value in vars(schema.BuiltinOperator).items() if name[0].isupper()
    }
    found = set()
    for index in range(codes.OperatorCodesLength()):
        code = codes.OperatorCodes(index)
        # Files written for old readers keep codes below 127 in the older, one-byte field.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = code.CustomCode()
        found.add(f"CUSTOM:{custom.decode()}" if custom else names.get(builtin, str(builtin)))
    return sorted(found)


def _check_builtins_only(content: bytes) -> None:
    custom = [name for name in _operations(content) if name.startswith("CUSTOM:")]
    if custom:
        raise ValueError(
            "The converted network needs operations that LiteRT does not have built in, so it "
            f"would not run on a phone: every operation must be a builtin. Received: {custom}"
        )


class _Runner:
    """Runs the file's one signature."""

    def __init__(self, content: bytes) -> None:
        self.interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
        self.signature = self.interpreter.get_signature_runner()

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        return self.signature(clip=clip)["probabilities"]


def _append_associated_files(path: Path, model: VideoClassifier) -> None:
    """Adds the zip that TFLite readers know as associated files; the flatbuffer ignores it."""
    fixed = (1980, 1, 1, 0, 0, 0)  # so that one model gives one file, whenever it is written
    with zipfile.ZipFile(path, "a") as associated:
        for name, text in artifact_texts(model.class_names, model.clip_spec).items():
            associated.writestr(zipfile.ZipInfo(name, fixed), text)
