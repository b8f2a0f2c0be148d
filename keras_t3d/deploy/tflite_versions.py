"""The oldest runtime that loads a `.tflite` file, by the versions of its operators.

A runtime knows each operator up to some version. `_RUNTIMES` lists, for version 1 onwards, the
first TensorFlow Lite release that has it; the figures are those of TensorFlow's
`lite/tools/versioning/runtime_version.cc`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy.tflite_operations import builtin_of

KEY = "min_runtime_version"
_BUFFER_BYTES = 16  # as TensorFlow's converter writes it, padded with zeros
_RUNTIMES = {
    "ADD": "1.5 1.14 2.4 2.6 2.13 2.23",
    "AVERAGE_POOL_2D": "1.5 1.14 2.3",
    "CAST": "1.5 2.7 2.8 2.9 2.12 2.15 2.17 2.21",
    "CONCATENATION": "1.5 1.14 2.3 2.14 2.21",
    "CONV_2D": "1.5 1.14 1.14 2.3 2.4 2.9 2.11 2.15",
    "DEPTHWISE_CONV_2D": "1.5 1.12 1.14 2.2 2.3 2.3 2.11",
    "DEQUANTIZE": "1.13.1 1.14 1.15 2.2 2.7 2.18 2.21 2.22",
    "DIV": "1.6 2.3",
    "EXPAND_DIMS": "1.10",
    "FULLY_CONNECTED": "1.5 1.10 1.14 1.14 2.0 2.1 2.3 2.3 2.3 2.11 2.15 2.17 2.18 2.21",
    "GATHER": "1.6 1.14 1.15 2.4 2.5 2.13 2.15",
    "GELU": "2.9 2.9",
    "LEAKY_RELU": "1.13.1 2.3",
    "LOGISTIC": "1.14 1.14 2.3",
    "MAXIMUM": "1.14 1.14 2.3 2.3",
    "MAX_POOL_2D": "1.5 1.14 2.3",
    "MEAN": "1.6 1.14 2.4",
    "MINIMUM": "1.14 1.14 2.3 2.3",
    "MUL": "1.5 1.14 1.15 2.3 2.6 2.11 2.13 2.23",
    "NEG": "1.9",
    "PACK": "1.11 1.14 2.3 2.13",
    "PAD": "1.5 1.14 2.4 2.6 2.20",
    "PADV2": "1.9 1.14 2.4 2.6 2.20",
    "QUANTIZE": "1.14 1.15 2.7 2.21 2.21 2.21",
    "REDUCE_MAX": "1.11 1.14 2.5",
    "RELU": "1.5 2.1 2.5",
    "RELU6": "1.5 1.14 2.5",
    "RELU_0_TO_1": "2.10",
    "RESHAPE": "1.5",
    "SLICE": "1.14 1.14 1.14 2.4 2.5 2.14 2.21",
    "SOFTMAX": "1.5 1.14 2.3",
    "SPLIT": "1.5 1.14 1.14 2.3",
    "SQUEEZE": "1.6 2.5",
    "STRIDED_SLICE": "1.6 1.14 2.1 2.2 2.5 2.6 2.14 2.14",
    "SUB": "1.6 1.14 2.3 2.4 2.4",
    "SUM": "1.10 1.15",
    "TANH": "1.14 1.14 2.3",
    "TILE": "1.10.1 2.2 2.8",
    "TRANSPOSE": "1.6 1.14 1.15 2.3 2.4 2.12 2.14.4 2.22",
    "UNPACK": "1.11 1.14 2.2 2.3 2.22",
}
_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if name[0].isupper()}


def runtime_of(operator: str, version: int) -> str:
    """Returns the first runtime that has an operator in a version, such as `"2.4.0"`.

    For one that is not listed, it is the TensorFlow that converts, which certainly has it.
    """
    runtimes = _RUNTIMES.get(operator, "").split()
    found = runtimes[version - 1] if version <= len(runtimes) else tf.__version__
    return found if found.count(".") == 2 else f"{found}.0"


def oldest_runtime(file: Any) -> str:
    """Returns the oldest runtime that has all operators of a file.

    Args:
        file: `ModelT` of the schema.
    """
    used = {step.opcodeIndex for graph in file.subgraphs for step in graph.operators}
    runtimes = []
    for index in used:
        code = file.operatorCodes[index]
        builtin = builtin_of(code)
        runtimes.append(runtime_of(_NAMES.get(builtin, str(builtin)), code.version))
    return max(runtimes, key=_numbers)


def write_oldest_runtime(file: Any) -> None:
    """Writes the oldest runtime into the metadata of a file, a `ModelT` of the schema."""
    text = oldest_runtime(file).encode()
    data = np.frombuffer(text.ljust(_BUFFER_BYTES, b"\0"), np.uint8)
    for entry in file.metadata or []:
        if _text(entry.name) == KEY:
            file.buffers[entry.buffer].data = data
            return
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = data
    entry.name, entry.buffer = KEY, len(file.buffers)
    file.buffers.append(buffer)
    file.metadata = [*(file.metadata or []), entry]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3])
