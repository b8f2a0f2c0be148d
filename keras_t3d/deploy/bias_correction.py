"""Takes the mean error of rounded weights out of the biases of a `.tflite` file in integers.

Rounding the few weights of a depthwise kernel shifts the mean of its output, on every clip alike.

Reference:
    Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
    https://arxiv.org/abs/1906.04721
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy.tflite_metadata import pack
from keras_t3d.deploy.tflite_operations import builtin_of

_WITH_BIAS = {
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.FULLY_CONNECTED,
}


def with_corrected_biases(content: bytes, offset_of: Callable[[str], np.ndarray | None]) -> bytes:
    """Returns a file whose biases have offsets added.

    Args:
        content: a `.tflite` file with one graph.
        offset_of: returns what to add to the output of that name, float (channels,), or None.
    """
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (graph,) = file.subgraphs
    for step in graph.operators:
        if builtin_of(file.operatorCodes[step.opcodeIndex]) not in _WITH_BIAS:
            continue
        offset = offset_of(graph.tensors[step.outputs[0]].name.decode())
        x, weights, bias = (*step.inputs, -1)[:3]
        if offset is None or bias < 0 or graph.tensors[bias].type != schema.TensorType.INT32:
            continue
        scale = graph.tensors[x].quantization.scale[0] * np.asarray(
            graph.tensors[weights].quantization.scale
        )
        step.inputs = [x, weights, _added(file, graph, bias, np.round(offset / scale))]
    return pack(file)


def _added(file: Any, graph: Any, place: int, steps: np.ndarray) -> int:
    """Returns the place of a bias plus integers: the old one's, unless operations share it."""
    tensor = graph.tensors[place]
    values = np.frombuffer(bytes(file.buffers[tensor.buffer].data), np.int32)
    ends = np.iinfo(np.int32)
    summed = np.clip(values + steps, ends.min, ends.max).astype(np.int32)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(summed.tobytes(), np.uint8)
    if sum(each.buffer == tensor.buffer for each in graph.tensors) == 1 == _uses(graph, place):
        file.buffers[tensor.buffer] = buffer
        return place
    new = schema.TensorT()
    vars(new).update(vars(tensor))
    new.name, new.buffer = tensor.name + b"_corrected", len(file.buffers)
    file.buffers.append(buffer)
    graph.tensors.append(new)
    return len(graph.tensors) - 1


def _uses(graph: Any, place: int) -> int:
    return sum(list(step.inputs).count(place) for step in graph.operators)
