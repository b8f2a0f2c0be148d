"""Networks to LiteRT files that compute in whole numbers of 8 bits.

TensorFlow's converter watches the float network on some clips, for the range of every tensor.
From that, files can be made in a moment: with layers left in floats, or with both computed side
by side, which tells by how much each layer errs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy.convolution_2d import join_frames
from keras_t3d.deploy.lite_conversion import converted
from keras_t3d.deploy.lite_metadata import packed
from keras_t3d.models import VideoClassifier

# What does the work of a fused operation, whose name is a list.
_WORKING = ("Conv2D", "depthwise", "MatMul")
_LEAST_RANGE = 1e-20
_TRIED = "tensorflow 2.16 to 2.21"
_DENSE = schema.BuiltinOperator.FULLY_CONNECTED
_SMALL_STEPS = {"ADD", "RESHAPE"}  # between a dense layer and its softmax
_FEW_WEIGHTS = 1024  # which the converter too leaves as they are
_VERSION_OF_ROWS = 12  # of FULLY_CONNECTED: floats by whole numbers with a scale a row
# All that they read has one scale, which the converter does not give to what comes from floats.
_OF_ONE_SCALE = {"CONCATENATION", "MAXIMUM", "MINIMUM", "PACK"}


@dataclasses.dataclass(frozen=True)
class LayerError:
    """By how much an operation errs in whole numbers, given what it reads.

    Attributes:
        layer: str. The Keras layer, within those that it is part of: `"stem/conv"`.
        operation: str. LiteRT's name of what it does.
        error: float. Root of the mean squared error over that of the values themselves.
    """

    layer: str
    operation: str
    error: float


@dataclasses.dataclass(frozen=True)
class _Operation:
    """One of the float network: what it does, for which layer, from which tensors to which.

    A still one reads or makes what is constant on all clips, as after a ReLU that never lets
    anything through: there is no range to divide, and LiteRT fails on it.
    """

    kind: str
    layer: str
    tensor: str
    inputs: tuple[str, ...]
    is_still: bool


class IntegerConversion:
    """A network whose ranges are known, to be written in whole numbers.

    Args:
        model: VideoClassifier.
        clips: uint8 array of shape (clips, T, H, W, 3), what it usually sees: whatever is
            outside of the ranges seen here will be cut off.

    Raises:
        ValueError: if the network gives all clips the same answer.
    """

    def __init__(self, model: VideoClassifier, clips: np.ndarray) -> None:

        def prepare(converter: Any) -> None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                {"clip": clip} for clip in _full_range(clips)
            )
            converter._experimental_calibrate_only = True

        with _without_warnings():
            self._calibrated = converted(model, join_frames, tf.float32, prepare)
        self._operations = list(self._list_operations())
        if not any(own.kind == "SOFTMAX" for own in self._operations):
            raise ValueError(
                "quantization='int8' needs a network whose answer depends on the clip: this one "
                "gives all clips the same, and nothing is left to compute. Look for a layer that "
                "reads padding only, such as a dilated convolution over one frame. Received: "
                f"{model.name}"
            )

    @property
    def layers(self) -> list[str]:
        """The layers that can be left in floats, in the order of computing."""
        return list(dict.fromkeys(own.layer for own in self._operations if own.layer))

    def convert(self, float_layers: Sequence[str] = (), integer_output: bool = False) -> bytes:
        """Returns a file: uint8 clips, exactly as they are, to probabilities.

        Args:
            float_layers: layers that compute in floats: `"stem"` is all within it. Defaults to
                none.
            integer_output: bool. Whether the classifying layer too computes in whole numbers
                and probabilities are int8, of 1/256 each. Defaults to `False`.

        Raises:
            ValueError: if there is no such layer.
        """
        content = self._quantized(float_layers, integer_output)
        output = tf.int8 if integer_output else tf.float32
        content = bytes(_converter_parts()[1](content, tf.uint8, output))
        head = self._head()
        wanted_in_floats = self._tensors_of(float_layers).intersection(own.tensor for own in head)
        if integer_output or wanted_in_floats or head[-1].kind != "FULLY_CONNECTED":
            return content
        return _with_small_head(content)

    def layer_errors(self, clips: np.ndarray, float_layers: Sequence[str] = ()) -> list[LayerError]:
        """Runs every operation both ways, on what the one before it made; the worst come first.

        Args:
            clips: uint8 array of shape (clips, T, H, W, 3).
            float_layers: see `convert`. Defaults to none.
        """
        content = self._quantized(float_layers, enable_numeric_verify=True)
        options = tf.lite.experimental.QuantizationDebugOptions(
            layer_direct_compare_metrics={"error": _relative_error}
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "both.tflite"
            path.write_bytes(content)
            with _without_warnings():
                debugger = tf.lite.experimental.QuantizationDebugger(
                    quant_debug_model_path=str(path),
                    debug_dataset=lambda: ([clip] for clip in _full_range(clips)),
                    debug_options=options,
                )
                debugger.run()
        worst: dict[str, LayerError] = {}
        for name, figures in debugger.layer_statistics.items():
            found = self._operation_of(name.removeprefix("NumericVerify/").rpartition(":")[0])
            if found is not None and figures["error"] > 0:
                error = LayerError(found.layer, found.kind, float(figures["error"]))
                worst[found.layer] = max(worst.get(found.layer, error), error, key=_size)
        return sorted(worst.values(), key=_size, reverse=True)

    def _quantized(
        self, float_layers: Sequence[str], integer_output: bool = False, **options: Any
    ) -> bytes:
        in_floats = self._tensors_of(float_layers)
        if not integer_output:
            in_floats.update(own.tensor for own in self._head())
        quantize = _converter_parts()[0]
        return quantize(self._calibrated, denylisted_nodes=in_floats, **options)

    def _head(self) -> list[_Operation]:
        """Softmax and the dense layer before it: 256 steps are few for a probability."""
        by_tensor = {own.tensor: own for own in self._operations}
        softmax = [own for own in self._operations if own.kind == "SOFTMAX"][-1]
        head, before = [softmax], by_tensor.get(softmax.inputs[0])
        while before is not None and before.kind in _SMALL_STEPS:
            head.append(before)
            before = by_tensor.get(before.inputs[0])
        if before is None or before.kind != "FULLY_CONNECTED":
            return [softmax]
        return [*head, before]

    def _tensors_of(self, float_layers: Sequence[str]) -> set[str]:
        """Names of what these layers make, by which the converter knows operations."""
        found = {own.tensor for own in self._operations if own.is_still}
        for wanted in float_layers:
            own = {
                operation.tensor
                for operation in self._operations
                if operation.layer == wanted or operation.layer.startswith(f"{wanted}/")
            }
            if not own:
                near = difflib.get_close_matches(wanted, self.layers, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise ValueError(
                    "`float_layers` must name layers of the network, for example "
                    f"{self.layers[:3]}.{hint} Received: {wanted!r}"
                )
            found |= own
        for operation in self._operations:  # in the order of computing
            if operation.kind in _OF_ONE_SCALE and found.intersection(operation.inputs):
                found.add(operation.tensor)
        return found

    def _list_operations(self) -> Iterator[_Operation]:
        model = schema.Model.GetRootAs(self._calibrated)
        names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
        graph = model.Subgraphs(0)
        for index in range(graph.OperatorsLength()):
            operation = graph.Operators(index)
            code = model.OperatorCodes(operation.OpcodeIndex())
            kind = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            made = graph.Tensors(operation.Outputs(0))
            places = [operation.Inputs(n) for n in range(operation.InputsLength())]
            read = [graph.Tensors(place) for place in places if place >= 0]
            tensor, *inputs = (own.Name().decode() for own in (made, *read))
            is_still = any(_is_still(own) for own in (made, *read))
            yield _Operation(kind, _layer_of(tensor), tensor, tuple(inputs), is_still)

    def _operation_of(self, tensor: str) -> _Operation | None:
        """That which makes a tensor of the quantized file, whose names have digits appended."""
        by_tensor = {own.tensor: own for own in self._operations}
        while tensor not in by_tensor and tensor[-1:].isdigit():
            tensor = tensor[:-1]
        return by_tensor.get(tensor)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """TensorFlow's converter calls a runtime that TensorFlow warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _converter_parts() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What TensorFlow's converter does between calibration and a file; it has no public name."""
    try:
        from tensorflow.lite.python.convert import mlir_quantize
        from tensorflow.lite.python.util import modify_model_io_type
    except ImportError as error:
        raise RuntimeError(
            "quantization='int8' needs parts of TensorFlow's converter that this version does not "
            f"have: install a version that was tried, {_TRIED}; or use 'dynamic'. Received: "
            f"tensorflow {tf.__version__} ({error})"
        ) from error
    return mlir_quantize, modify_model_io_type


def _is_still(tensor: schema.Tensor) -> bool:
    """Whether the values that calibration saw are one."""
    seen = tensor.Quantization()
    if seen is None or not seen.MinLength():
        return False  # a constant
    return seen.Max(0) - seen.Min(0) < _LEAST_RANGE


def _layer_of(tensor: str) -> str:
    parts = [part for part in tensor.split(";") if part]
    working = [part for part in parts if part.rpartition("/")[2].startswith(_WORKING)]
    path = (working or parts)[0].rpartition("/")[0]
    return path.partition("/")[2]  # without the model


def _size(error: LayerError) -> float:
    return error.error


def _with_small_head(content: bytes) -> bytes:
    """Rounds the weights of the last dense layer, which computes in floats, to 8 bits.

    As the converter does for "dynamic": each row has a scale of its own.
    """
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (graph,) = file.subgraphs
    dense = [
        operation
        for operation in graph.operators
        if _kind(file.operatorCodes[operation.opcodeIndex]) == _DENSE
    ]
    if not dense:
        return content
    weights = graph.tensors[dense[-1].inputs[1]]
    buffer = file.buffers[weights.buffer]
    if weights.type != schema.TensorType.FLOAT32 or buffer.data is None:
        return content
    rows = np.frombuffer(bytes(buffer.data), np.float32).reshape(weights.shape)
    if rows.size < _FEW_WEIGHTS:
        return content
    scales = np.maximum(np.abs(rows).max(1), _LEAST_RANGE) / 127
    whole = np.round(rows / scales[:, None]).astype(np.int8)
    new = schema.BufferT()
    new.data = np.frombuffer(whole.tobytes(), np.uint8)
    weights.type, weights.buffer = schema.TensorType.INT8, len(file.buffers)
    file.buffers.append(new)
    weights.quantization = schema.QuantizationParametersT()
    weights.quantization.scale = scales.astype(np.float32)
    weights.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    weights.quantization.quantizedDimension = 0
    code = file.operatorCodes[dense[-1].opcodeIndex]
    code.version = max(code.version, _VERSION_OF_ROWS)
    buffer.data = None
    return packed(file)


def _kind(code: Any) -> int:
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _full_range(clips: np.ndarray) -> Iterator[np.ndarray]:
    """Clips of batch 1 in floats; the first has a black and a white pixel.

    So a whole number is a pixel's value, and nothing is rounded.
    """
    for number, clip in enumerate(clips):
        values = clip[None].astype(np.float32)
        if number == 0:
            values[0, 0, 0, 0], values[0, 0, 0, 1] = 0, 255
        yield values


def _relative_error(
    expected: np.ndarray, whole: np.ndarray, scale: float, zero_point: int
) -> float:
    """What is cut off here is what a ReLU further on cuts off: the ranges are these clips' own."""
    ends = np.iinfo(whole.dtype)
    low, high = ((end - zero_point) * scale for end in (ends.min, ends.max))
    expected = np.clip(expected, low, high)
    found = (whole.astype(np.float32) - zero_point) * scale
    return float(np.sqrt(np.mean((found - expected) ** 2) / max(np.mean(expected**2), 1e-12)))
