"""Dense layers with 8-bit weights, as runtimes before 2.17 compute them.

TensorFlow's converter gives the integers of such a layer one scale per row, which FULLY_CONNECTED
multiplies by since version 12. Here the same scales follow as a multiplication:

```
x -> FULLY_CONNECTED (integers * scales, + bias, activation) -> y
x -> FULLY_CONNECTED (integers) -> MUL (scales) -> ADD (bias, activation) -> y
```
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy.tflite_metadata import pack
from keras_t3d.deploy.tflite_operations import builtin_of

_DENSE = schema.BuiltinOperator.FULLY_CONNECTED
SCALED_ROWS = 12  # version that multiplies by one scale per row
_ONE_SCALE = 9  # version with one scale for all rows, and inputs quantized with a zero point
_LAST_OF_ONE_BYTE = 127  # builtin codes up to here are also in the older, one-byte field


def with_scales_after(content: bytes) -> bytes:
    """Returns a file whose dense layers multiply by the scales of their rows in a step of its own.

    Only layers with inputs and outputs in floats change. Their outputs are equal but for the order
    of two multiplications.

    Args:
        content: a `.tflite` file with one graph.
    """
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (graph,) = file.subgraphs
    # Layers may share weights.
    scales = {
        step.inputs[1]: np.asarray(graph.tensors[step.inputs[1]].quantization.scale, np.float32)
        for step in graph.operators
        if _has_scaled_rows(file, graph, step)
    }
    if not scales:
        return content
    steps: list[Any] = []
    for step in graph.operators:
        is_dense = _has_scaled_rows(file, graph, step)
        steps += _scaled_after(file, graph, step, scales[step.inputs[1]]) if is_dense else [step]
    graph.operators = steps
    for place in scales:
        rows = graph.tensors[place].quantization
        rows.scale, rows.zeroPoint = np.ones(1, np.float32), np.zeros(1, np.int64)
    for code in file.operatorCodes:
        if builtin_of(code) == _DENSE and code.version == SCALED_ROWS:
            code.version = _ONE_SCALE
    return pack(file)


def _has_scaled_rows(file: Any, graph: Any, step: Any) -> bool:
    if builtin_of(file.operatorCodes[step.opcodeIndex]) != _DENSE:
        return False
    x, weights = (graph.tensors[place] for place in step.inputs[:2])
    return (
        x.type == schema.TensorType.FLOAT32
        and weights.type == schema.TensorType.INT8
        and len(weights.quantization.scale) > 1
    )


def _scaled_after(file: Any, graph: Any, step: Any, scales: np.ndarray) -> list[Any]:
    """Returns the dense layer without bias, a multiplication and an addition."""
    x, weights, *rest = step.inputs
    bias = next((place for place in rest if place >= 0), None)
    output = step.outputs[0]
    activation = step.builtinOptions.fusedActivationFunction

    def tensor(suffix: str, shape: Any, data: np.ndarray | None = None) -> int:
        new = schema.TensorT()
        new.name = graph.tensors[output].name + suffix.encode()
        new.shape, new.type = np.asarray(shape, np.int32), schema.TensorType.FLOAT32
        if data is not None:
            new.buffer = len(file.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            file.buffers.append(buffer)
        graph.tensors.append(new)
        return len(graph.tensors) - 1

    def operator(kind: int, options_type: int, options: Any, reads: list[int], to: int) -> Any:
        new = schema.OperatorT()
        new.opcodeIndex = _code_of(file, kind)
        new.builtinOptionsType, new.builtinOptions = options_type, options
        new.inputs, new.outputs = reads, [to]
        return new

    shape = graph.tensors[output].shape
    integers, scale = tensor("_integers", shape), tensor("_scales", scales.shape, scales)
    step.inputs, step.outputs = [x, weights, -1], [integers]
    step.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    kinds, options = schema.BuiltinOperator, schema.BuiltinOptions
    times, plus = schema.MulOptionsT(), schema.AddOptionsT()
    if bias is None:
        times.fusedActivationFunction = activation
        product = operator(kinds.MUL, options.MulOptions, times, [integers, scale], output)
        return [step, product]
    scaled = tensor("_scaled", shape)
    plus.fusedActivationFunction = activation
    return [
        step,
        operator(kinds.MUL, options.MulOptions, times, [integers, scale], scaled),
        operator(kinds.ADD, options.AddOptions, plus, [scaled, bias], output),
    ]


def _code_of(file: Any, kind: int) -> int:
    """Returns the index of a builtin among the file's operator codes, and adds it if missing."""
    for index, code in enumerate(file.operatorCodes):
        if builtin_of(code) == kind:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = kind, 1
    code.deprecatedBuiltinCode = min(kind, _LAST_OF_ONE_BYTE)
    file.operatorCodes.append(code)
    return len(file.operatorCodes) - 1
