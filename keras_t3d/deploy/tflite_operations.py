"""Reads the operations of a `.tflite` file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy.errors import ExportError

# Name parts of the operation that computes, in the name of a fused one, which is a list.
_COMPUTING = ("Conv2D", "depthwise", "MatMul")
_SMALLEST_RANGE = 1e-20
_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if name[0].isupper()}


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation of a calibrated file.

    Attributes:
        kind: LiteRT's name of the operation.
        layer: path of the Keras layer that it belongs to, such as `"stem/conv"`.
        tensor: name of its output.
        inputs: names of its inputs.
        is_constant: whether an input or the output has one value on all calibration clips, as
            after a ReLU that is never positive: it has no range to quantize, and LiteRT fails on
            it.
    """

    kind: str
    layer: str
    tensor: str
    inputs: tuple[str, ...]
    is_constant: bool


def read_operations(content: bytes) -> Iterator[Operation]:
    """Yields the operations of a calibrated file, in the order of computation."""
    model = schema.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    for index in range(graph.OperatorsLength()):
        operation = graph.Operators(index)
        code = model.OperatorCodes(operation.OpcodeIndex())
        output = graph.Tensors(operation.Outputs(0))
        places = [operation.Inputs(n) for n in range(operation.InputsLength())]
        tensors = [output, *(graph.Tensors(place) for place in places if place >= 0)]
        name, *inputs = (tensor.Name().decode() for tensor in tensors)
        kind = _NAMES[_builtin_code(code)]
        is_constant = any(map(_has_one_value, tensors))
        yield Operation(kind, _layer_of(name), name, tuple(inputs), is_constant)


def list_ops(path: str | os.PathLike[str]) -> list[str]:
    """Returns the names of the operations in a `.tflite` file, each once, sorted.

    Args:
        path: the file.

    Returns:
        Names such as `"CONV_2D"`; an operation that is not a LiteRT builtin has the prefix
        `"CUSTOM:"`, for example `"CUSTOM:FlexConv3D"`.

    Example:

    ```python
    list_ops("t3d.tflite")  # ["ADD", "AVERAGE_POOL_2D", "CAST", "CONCATENATION", ...]
    ```
    """
    return _operation_names(Path(path).read_bytes())


def check_builtins_only(content: bytes) -> None:
    """Raises ExportError if a file has operations that are not LiteRT builtins."""
    custom = [name for name in _operation_names(content) if name.startswith("CUSTOM:")]
    if custom:
        raise ExportError(
            "The converted model would not run on a phone: it needs operations that are not "
            f"LiteRT builtins. Received: {custom}"
        )


def _operation_names(content: bytes) -> list[str]:
    model = schema.Model.GetRootAs(content)
    found = set()
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        builtin, custom = _builtin_code(code), code.CustomCode()
        found.add(f"CUSTOM:{custom.decode()}" if custom else _NAMES.get(builtin, str(builtin)))
    return sorted(found)


def builtin_of(code: schema.OperatorCodeT) -> int:
    """Returns the builtin of an operator code.

    Files for old readers keep codes below 127 in the older, one-byte field.
    """
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _builtin_code(code: schema.OperatorCode) -> int:
    return builtin_of(schema.OperatorCodeT.InitFromObj(code))


def _has_one_value(tensor: schema.Tensor) -> bool:
    """Whether calibration saw one value only; False for weights."""
    seen = tensor.Quantization()
    if seen is None or not seen.MinLength():
        return False
    return seen.Max(0) - seen.Min(0) < _SMALLEST_RANGE


def _layer_of(tensor: str) -> str:
    parts = [part for part in tensor.split(";") if part]
    computing = [part for part in parts if part.rpartition("/")[2].startswith(_COMPUTING)]
    path = (computing or parts)[0].rpartition("/")[0]
    return path.partition("/")[2]  # without the model's name
