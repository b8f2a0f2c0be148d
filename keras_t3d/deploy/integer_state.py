"""Inputs and outputs in 8 bits of a quantized step: pixels, and the state of a stream.

TensorFlow's quantizer leaves floats at the boundary of a file:

```
frames (float) -> QUANTIZE -> ...          frames (uint8) -> QUANTIZE -> ...
state (float) -> QUANTIZE -> ...       ->  state (int8) -> ...
... -> DEQUANTIZE -> state (float)         ... -> state (int8)
```

A state is concatenated with the frames after it, so that its scale is theirs before and after the
step. One that has other scales, or that is computed in floats, stays in floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy.tflite_metadata import pack
from keras_t3d.deploy.tflite_operations import builtin_of

_QUANTIZE = schema.BuiltinOperator.QUANTIZE
_DEQUANTIZE = schema.BuiltinOperator.DEQUANTIZE
_MOVES = {schema.BuiltinOperator.RESHAPE, schema.BuiltinOperator.STRIDED_SLICE}
_FROM_INT8_TO_UINT8 = 128  # difference of zero points


def with_integer_state(content: bytes) -> bytes:
    """Returns a file whose pixels are uint8, and whose state is in 8 bits where it can be.

    Args:
        content: a quantized `.tflite` file with one signature, in which the state before the step
            and the one after it have the same names.
    """
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (graph,), (signature,) = file.subgraphs, file.signatureDefs
    after = {entry.name: entry for entry in signature.outputs}
    for entry in signature.inputs:
        quantize = _only(graph, file, _QUANTIZE, reads=entry.tensorIndex)
        if quantize is None:
            continue
        if entry.name not in after:
            _read_uint8(graph, quantize)
            _quantize_after_moves(graph, file, quantize)
            continue
        result = after[entry.name]
        dequantize = _only(graph, file, _DEQUANTIZE, writes=result.tensorIndex)
        if dequantize is not None and _same_scale(graph, quantize.outputs[0], dequantize.inputs[0]):
            graph.inputs = _replaced(graph.inputs, entry, quantize.outputs[0])
            graph.outputs = _replaced(graph.outputs, result, dequantize.inputs[0])
            graph.operators = [
                each for each in graph.operators if each is not quantize and each is not dequantize
            ]
    return pack(file)


def _quantize_after_moves(graph: Any, file: Any, quantize: Any) -> None:
    """Puts a conversion of uint8 after what only moves pixels, as a step may not read all."""
    while True:
        readers = [each for each in graph.operators if quantize.outputs[0] in each.inputs]
        if (
            len(readers) != 1
            or builtin_of(file.operatorCodes[readers[0].opcodeIndex]) not in _MOVES
        ):
            return
        (move,) = readers
        pixels, between, after = quantize.inputs[0], quantize.outputs[0], move.outputs[0]
        graph.tensors[between].shape = graph.tensors[after].shape
        graph.tensors[between].type = graph.tensors[pixels].type
        graph.tensors[between].quantization = graph.tensors[pixels].quantization
        move.inputs, move.outputs = [pixels, *move.inputs[1:]], [between]
        quantize.inputs, quantize.outputs = [between], [after]
        graph.operators.remove(quantize)
        graph.operators.insert(graph.operators.index(move) + 1, quantize)


def _only(
    graph: Any, file: Any, kind: int, reads: int | None = None, writes: int | None = None
) -> Any | None:
    """Returns the operation of a kind that reads or writes a tensor, unless others read it too."""
    found = [each for each in graph.operators if reads in each.inputs or writes in each.outputs]
    is_kind = len(found) == 1 and builtin_of(file.operatorCodes[found[0].opcodeIndex]) == kind
    return found[0] if is_kind else None


def _same_scale(graph: Any, one: int, other: int) -> bool:
    first, second = (graph.tensors[place].quantization for place in (one, other))
    return np.array_equal(first.scale, second.scale) and np.array_equal(
        first.zeroPoint, second.zeroPoint
    )


def _replaced(places: Any, entry: Any, new: int) -> list[int]:
    """Puts another tensor into the inputs or outputs, which are returned, and its signature."""
    before, entry.tensorIndex = entry.tensorIndex, new
    return [new if place == before else place for place in places]


def _read_uint8(graph: Any, quantize: Any) -> None:
    """Makes an operation convert uint8 to int8, which is a shift."""
    pixels, integers = graph.tensors[quantize.inputs[0]], graph.tensors[quantize.outputs[0]]
    pixels.type = schema.TensorType.UINT8
    pixels.quantization = schema.QuantizationParametersT()
    pixels.quantization.scale = [integers.quantization.scale[0]]
    pixels.quantization.zeroPoint = [integers.quantization.zeroPoint[0] + _FROM_INT8_TO_UINT8]
