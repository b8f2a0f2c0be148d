"""Exceptions of exports that are meant for users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_t3d.errors import KerasT3DError

if TYPE_CHECKING:
    from keras_t3d.deploy.quantization_report import QuantizationReport


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


def check_channels_last(layer: Any) -> None:
    """Raises UnsupportedLayerError unless a layer's data format is `channels_last`."""
    if layer.data_format != "channels_last":
        raise UnsupportedLayerError(
            layer, f"has data_format={layer.data_format!r}", "use data_format='channels_last'"
        )


class QuantizationError(ExportError):
    """The quantized model's predictions differ too much from the float model's.

    Attributes:
        report: the measurements, with the layers of the largest errors.
    """

    def __init__(self, message: str, report: QuantizationReport) -> None:
        super().__init__(message)
        self.report = report
