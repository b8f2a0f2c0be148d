"""The protocol buffers of TF Serving's gRPC interface, without TensorFlow.

Only the fields that this package reads or writes are listed; protobuf skips the others. The
tests read and write them with the classes of tensorflow-serving-api.

Reference:
    https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_t3d.deploy.serving_client.errors import ServingError
from keras_t3d.errors import check_argument
from keras_t3d.protocol_buffers import build_message_classes

# Of each message its fields: number, name, kind. Enumerations are int32 on the wire.
_MESSAGES: dict[str, list[tuple[int, str, str]]] = {
    "Dim": [(1, "size", "int64")],
    "TensorShapeProto": [(2, "dim", "repeated Dim"), (3, "unknown_rank", "bool")],
    "TensorProto": [
        (1, "dtype", "int32"),
        (2, "tensor_shape", "TensorShapeProto"),
        (4, "tensor_content", "bytes"),
        (5, "float_val", "repeated float"),
        (7, "int_val", "repeated int32"),
        (8, "string_val", "repeated bytes"),
        (10, "int64_val", "repeated int64"),
    ],
    "Int64Value": [(1, "value", "int64")],
    "ModelSpec": [
        (1, "name", "string"),
        (2, "version", "Int64Value"),
        (3, "signature_name", "string"),
        (4, "version_label", "string"),
    ],
    "PredictRequest": [(1, "model_spec", "ModelSpec"), (2, "inputs", "map TensorProto")],
    "PredictResponse": [(1, "outputs", "map TensorProto"), (2, "model_spec", "ModelSpec")],
    "GetModelMetadataRequest": [
        (1, "model_spec", "ModelSpec"),
        (2, "metadata_field", "repeated string"),
    ],
    "Any": [(1, "type_url", "string"), (2, "value", "bytes")],
    "GetModelMetadataResponse": [(1, "model_spec", "ModelSpec"), (2, "metadata", "map Any")],
    "TensorInfo": [
        (1, "name", "string"),
        (2, "dtype", "int32"),
        (3, "tensor_shape", "TensorShapeProto"),
    ],
    "SignatureDef": [
        (1, "inputs", "map TensorInfo"),
        (2, "outputs", "map TensorInfo"),
        (3, "method_name", "string"),
    ],
    "SignatureDefMap": [(1, "signature_def", "map SignatureDef")],
    "GetModelStatusRequest": [(1, "model_spec", "ModelSpec")],
    "StatusProto": [(1, "error_code", "int32"), (2, "error_message", "string")],
    "ModelVersionStatus": [
        (1, "version", "int64"),
        (2, "state", "int32"),
        (3, "status", "StatusProto"),
    ],
    "GetModelStatusResponse": [(1, "model_version_status", "repeated ModelVersionStatus")],
    "PredictLog": [(1, "request", "PredictRequest")],
    "PredictionLog": [(6, "predict_log", "PredictLog")],
}


message_classes: dict[str, Any] = build_message_classes("keras_t3d.serving", _MESSAGES)

# TensorFlow's numbers of the types that the signatures of this package take and give (bytes are
# objects in NumPy), and the field of a TensorProto that holds their values.
_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    4: np.dtype(np.uint8),
    7: np.dtype(object),
    9: np.dtype(np.int64),
}
_VALUES = {1: "float_val", 4: "int_val", 7: "string_val", 9: "int64_val"}

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


def type_name(number: int) -> str:
    """Returns the name of a TensorFlow type; its number, for one that is not used here."""
    return "string" if number == 7 else str(_TYPES.get(number, f"type {number}"))


def type_number(name: str) -> int:
    """Returns TensorFlow's number of a type of `type_name`."""
    return next(number for number in _TYPES if type_name(number) == name)


def _new_tensor(dtype: np.dtype[Any], shape: Sequence[int]) -> Any:
    numbers = {dtype: number for number, dtype in _TYPES.items()}
    rule = f"an array of {', '.join(map(type_name, _TYPES))}"
    check_argument("array", str(dtype), dtype in numbers, rule)
    tensor = message_classes["TensorProto"](dtype=numbers[dtype])
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def to_tensor(array: np.ndarray) -> Any:
    """Returns a TensorProto: uint8, float32, int64, or bytes in an array of objects.

    Raises:
        InvalidArgumentError: if its type is another.
    """
    tensor = _new_tensor(array.dtype, array.shape)
    if array.dtype == object:
        tensor.string_val.extend(array.ravel().tolist())
    else:
        tensor.tensor_content = array.tobytes()
    return tensor


def constant_tensor(shape: Sequence[int], value: np.generic | bytes) -> Any:
    """Returns a TensorProto of one value: TensorFlow repeats the last value."""
    tensor = _new_tensor(np.dtype(object) if isinstance(value, bytes) else value.dtype, shape)
    getattr(tensor, _VALUES[tensor.dtype]).append(value)
    return tensor


def to_array(tensor: Any) -> np.ndarray:
    """Returns the array of a TensorProto; strings as bytes in an array of objects.

    Raises:
        ServingError: if its type is another.
    """
    if tensor.dtype not in _TYPES:
        raise ServingError(
            f"The served model must return tensors of {', '.join(map(type_name, _TYPES))}, as "
            f"`export_saved_model` exports them. Received: {type_name(tensor.dtype)}"
        )
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    dtype = _TYPES[tensor.dtype]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    values = np.array(list(getattr(tensor, _VALUES[tensor.dtype])), dtype)
    if 0 < values.size < np.prod(shape):  # the last one stands for all that follow
        values = np.concatenate([values, np.repeat(values[-1:], np.prod(shape) - values.size)])
    return values.reshape(shape)
