"""Exceptions of exports that are meant for users."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

from keras_t3d.errors import KerasT3DError

if TYPE_CHECKING:
    from keras_t3d.deploy.quantization_report import QuantizationReport

_LONGEST_QUOTE = 300  # characters of another library's message


class ExportError(KerasT3DError):
    """The model cannot be exported, or the artifact computes something else than the model."""


class UnsupportedLayerError(ExportError):
    """The TFLite export cannot rewrite a layer of the model with 2D operations.

    Args:
        layer: the layer.
        problem: what is not supported, as the end of a sentence that begins with the layer.
        remedy: what to use instead, as an imperative.
    """

    def __init__(self, layer: Any, problem: str, remedy: str) -> None:
        super().__init__(
            "The model cannot be rewritten with the 2D operations that LiteRT runs: its layer "
            f"{layer.name!r} {problem}. To export it, {remedy}. "
            f"Received: a layer of class {type(layer).__name__}"
        )


class UntraceableLayerError(ExportError):
    """TensorFlow cannot compute a layer of the model in a graph.

    Args:
        layer: the layer.
        error: the exception that it raised.
    """

    def __init__(self, layer: Any, error: Exception) -> None:
        super().__init__(
            f"The model cannot be computed in a TensorFlow graph: its layer {layer.name!r} raised "
            f"{type(error).__name__}: {in_one_line(error)}. To export it, compute with keras.ops, "
            f"for static shapes. Received: a layer of class {type(layer).__name__}"
        )


def in_one_line(error: Exception) -> str:
    """Returns the message of an exception of Keras or TensorFlow, shortened to one line."""
    words = re.sub(r"\x1b\[\d+m", "", str(error)).split()
    return textwrap.shorten(" ".join(words).rstrip("."), _LONGEST_QUOTE, placeholder=" ...")


def check_channels_last(layer: Any) -> None:
    """Raises UnsupportedLayerError unless a layer's data format is `channels_last`."""
    if layer.data_format != "channels_last":
        raise UnsupportedLayerError(
            layer, f"has data_format={layer.data_format!r}", "use data_format='channels_last'"
        )


def check_not_quantized(layer: Any) -> None:
    """Raises UnsupportedLayerError if Keras has quantized a layer, as `model.quantize` does."""
    mode = getattr(layer, "quantization_mode", None)
    if mode is not None:
        raise UnsupportedLayerError(
            layer,
            f"is quantized by Keras ({mode})",
            "export the model as it was before `quantize`, with the export's own `quantization`, "
            "which covers convolutions too, for example 'int8'",
        )


class QuantizationError(ExportError):
    """The quantized model's predictions differ too much from the float model's.

    Attributes:
        report: the measurements, with the layers of the largest errors.
    """

    def __init__(self, message: str, report: QuantizationReport) -> None:
        super().__init__(message)
        self.report = report
