"""Converts models to LiteRT files that compute in 8-bit integers.

TensorFlow's converter runs the float model on calibration clips and records the range of every
tensor. From that, files are made quickly: with some layers in floats, or with each layer computed
both ways, which measures its error. The mean error of each is added to its bias.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import operator
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy.bias_correction import with_corrected_biases
from keras_t3d.deploy.convolution_2d import join_frames
from keras_t3d.deploy.errors import ExportError
from keras_t3d.deploy.options import TFLiteOptions
from keras_t3d.deploy.rounding import Rounding, measure_rounding
from keras_t3d.deploy.tflite_conversion import run_converter
from keras_t3d.deploy.tflite_dense import SCALED_ROWS, with_scales_after
from keras_t3d.deploy.tflite_forms import LiteRTForm, form_of, number_of_clips
from keras_t3d.deploy.tflite_metadata import pack
from keras_t3d.deploy.tflite_operations import Operation, builtin_of, read_operations
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models import VideoClassifier
from keras_t3d.private_interfaces import only_calibrate, quantizer_functions

_SMALLEST_RANGE = 1e-20
_ROUNDED_CLIPS = 8  # on which operations are computed both ways
_DENSE = schema.BuiltinOperator.FULLY_CONNECTED
_SMALL_STEPS = {"ADD", "RESHAPE"}  # between a dense layer and its softmax
_SMALL_KERNEL = 1024  # weights; the converter does not quantize fewer either
# All inputs must have one scale, which the converter does not give to tensors from float layers.
_ONE_SCALE = {"CONCATENATION", "MAXIMUM", "MINIMUM", "PACK"}


@dataclasses.dataclass(frozen=True)
class LayerError:
    """Error of an operation in integers, given the same inputs as in floats.

    Attributes:
        layer: path of the Keras layer: `"stem/conv"`.
        operation: LiteRT's name of the operation.
        error: root mean squared error relative to the root mean square of the values.
    """

    layer: str
    operation: str
    error: float


class IntegerConversion:
    """A model with calibrated ranges, to be converted to integers.

    Args:
        model: the model, or a form of it.
        clips: typical inputs, uint8 array of shape (clips, T, H, W, 3). Values outside of the
            ranges seen here will be clipped.

    Raises:
        ExportError: if the model's output does not depend on the clip.
    """

    def __init__(self, model: VideoClassifier | LiteRTForm, clips: np.ndarray) -> None:
        self._form = form_of(model)

        def prepare(converter: Any) -> None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: self._form.calibration_inputs(clips)
            only_calibrate(converter)

        with _without_warnings():
            self._calibrated = run_converter(self._form, join_frames, tf.float32, prepare)
        self._clips = clips[: number_of_clips(self._form, _ROUNDED_CLIPS)]
        self._measured: dict[frozenset[str], dict[str, Rounding]] = {}
        self._operations = list(read_operations(self._calibrated))
        self._by_tensor = {operation.tensor: operation for operation in self._operations}
        if not self._operations:  # all were computed by the converter
            raise ExportError(
                "`quantization` 'int8' needs a model whose output depends on the clip, and this "
                "one's is constant. Look for a layer that reads padding only, such as a dilated "
                f"convolution over one frame. Received: {self._form.model.name}"
            )

    @property
    def layers(self) -> list[str]:
        """Layers that can be kept in floats, in the order of computation."""
        return list(dict.fromkeys(each.layer for each in self._operations if each.layer))

    def convert(self, options: TFLiteOptions) -> bytes:
        """Returns the content of a file from uint8 clips to probabilities.

        Args:
            options: TFLiteOptions, of which `float_layers` and `integer_output` are used.

        Raises:
            InvalidArgumentError: if the model has no such layer.
        """
        in_floats, head = self._in_floats(options), self._head()
        head_tensors = {operation.tensor for operation in head}
        if options.integer_output:
            content, output = self._quantize(in_floats), tf.int8
        else:
            content, output = self._quantize(in_floats | head_tensors), tf.float32
        content = self._corrected(self._form.with_integer_inputs(content, output), options)
        is_kept_in_floats = not head_tensors.isdisjoint(in_floats)
        has_dense = head[-1].kind == "FULLY_CONNECTED"
        if options.integer_output or is_kept_in_floats or not has_dense:
            return content
        return with_scales_after(_with_small_head(content))

    def layer_errors(self, options: TFLiteOptions) -> list[LayerError]:
        """Returns the errors of all layers but `float_layers`, the largest first."""
        worst: dict[str, LayerError] = {}
        for name, rounding in self._rounding(options).items():
            found = self._operation_of(name)
            if found is not None and rounding.error > 0:
                error = LayerError(found.layer, found.kind, rounding.error)
                worst[found.layer] = max(
                    worst.get(found.layer, error), error, key=operator.attrgetter("error")
                )
        return sorted(worst.values(), key=operator.attrgetter("error"), reverse=True)

    def _rounding(self, options: TFLiteOptions) -> dict[str, Rounding]:
        """Returns what rounding changes in each operation, by the name of its output."""
        in_floats = frozenset(self._in_floats(options) | {each.tensor for each in self._head()})
        if in_floats not in self._measured:
            content = self._quantize(set(in_floats), enable_numeric_verify=True)
            with _without_warnings():
                self._measured[in_floats] = measure_rounding(content, self._in_order(content))
        return self._measured[in_floats]

    def _corrected(self, content: bytes, options: TFLiteOptions) -> bytes:
        """Takes the mean errors of operations out of their biases."""
        offsets = {}
        for name, rounding in self._rounding(options).items():
            found = self._operation_of(name)
            if found is not None:
                offsets[found.tensor] = rounding.offset

        def offset_of(name: str) -> np.ndarray | None:
            found = self._operation_of(name)
            return None if found is None else offsets.get(found.tensor)

        return with_corrected_biases(content, offset_of)

    def _in_order(self, content: bytes) -> Iterator[list[np.ndarray]]:
        """Yields calibration inputs in the order of a file's."""
        file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
        (graph,), (signature,) = file.subgraphs, file.signatureDefs
        names = {entry.tensorIndex: entry.name.decode() for entry in signature.inputs}
        for inputs in self._form.calibration_inputs(self._clips):
            yield [inputs[names[place]] for place in graph.inputs]

    def _quantize(self, in_floats: set[str], **options: Any) -> bytes:
        quantize = quantizer_functions()[0]
        return quantize(self._calibrated, denylisted_nodes=in_floats, **options)

    def _head(self) -> list[Operation]:
        """Returns the softmax and the dense layer before it, for which int8 is too coarse.

        Without a softmax, as of `[1 - p, p]`, all that follows the last dense layer, and the layer.
        """
        softmaxes = [each for each in self._operations if each.kind == "SOFTMAX"]
        if not softmaxes:
            kinds = [operation.kind for operation in reversed(self._operations)]
            length = kinds.index("FULLY_CONNECTED") + 1 if "FULLY_CONNECTED" in kinds else 1
            return self._operations[: -length - 1 : -1]
        softmax = softmaxes[-1]
        head, before = [softmax], self._by_tensor.get(softmax.inputs[0])
        while before is not None and before.kind in _SMALL_STEPS:
            head.append(before)
            before = self._by_tensor.get(before.inputs[0])
        if before is None or before.kind != "FULLY_CONNECTED":
            return [softmax]
        return [*head, before]

    def _in_floats(self, options: TFLiteOptions) -> set[str]:
        """Returns the outputs of operations in floats, which identify them to the converter."""
        found = {each.tensor for each in self._operations if each.is_constant}
        found |= self._of_vectors()
        for name in options.float_layers:
            tensors = {
                operation.tensor
                for operation in self._operations
                if operation.layer == name or operation.layer.startswith(f"{name}/")
            }
            if not tensors:
                near = difflib.get_close_matches(name, self.layers, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise InvalidArgumentError(
                    "`float_layers` must name layers of the model, for example "
                    f"{self.layers[:3]}.{hint} Received: {name!r}",
                    argument="float_layers",
                )
            found |= tensors
        for operation in self._operations:  # in the order of computation
            if operation.kind in _ONE_SCALE and found.intersection(operation.inputs):
                found.add(operation.tensor)
        return found

    def _of_vectors(self) -> set[str]:
        """Returns the outputs of operations that follow from the form's vectors.

        A dense layer among them computes in integers, as nothing is summed up over steps after it.
        """
        vectors = {f"serving_default_{name}:0" for name in self._form.vector_inputs}
        found: set[str] = set()
        for operation in self._operations:  # in the order of computation
            follows = not (vectors | found).isdisjoint(operation.inputs)
            if follows and operation.kind != "FULLY_CONNECTED":
                found.add(operation.tensor)
        return found

    def _operation_of(self, tensor: str) -> Operation | None:
        """Finds the operation of a tensor in the quantized file, which appends digits to names."""
        while tensor not in self._by_tensor and tensor[-1:].isdigit():
            tensor = tensor[:-1]
        return self._by_tensor.get(tensor)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """TensorFlow's converter calls a runtime that TensorFlow has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _with_small_head(content: bytes) -> bytes:
    """Stores the weights of the last dense layer, which computes in floats, in 8 bits.

    As the converter does for "dynamic", with one scale per row.
    """
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (graph,) = file.subgraphs
    codes = [builtin_of(code) for code in file.operatorCodes]
    dense = [step for step in graph.operators if codes[step.opcodeIndex] == _DENSE]
    if not dense:
        return content
    weights = graph.tensors[dense[-1].inputs[1]]
    buffer = file.buffers[weights.buffer]
    if weights.type != schema.TensorType.FLOAT32 or buffer.data is None:
        return content
    rows = np.frombuffer(bytes(buffer.data), np.float32).reshape(weights.shape)
    if rows.size < _SMALL_KERNEL:
        return content
    scales = np.maximum(np.abs(rows).max(1), _SMALLEST_RANGE) / 127
    integers = np.round(rows / scales[:, None]).astype(np.int8)
    new = schema.BufferT()
    new.data = np.frombuffer(integers.tobytes(), np.uint8)
    weights.type, weights.buffer = schema.TensorType.INT8, len(file.buffers)
    file.buffers.append(new)
    weights.quantization = schema.QuantizationParametersT()
    weights.quantization.scale = scales.astype(np.float32)
    weights.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    weights.quantization.quantizedDimension = 0
    code = file.operatorCodes[dense[-1].opcodeIndex]
    code.version = max(code.version, SCALED_ROWS)
    buffer.data = None
    return pack(file)
