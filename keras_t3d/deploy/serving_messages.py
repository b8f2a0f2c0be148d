"""The protocol buffers of TF Serving's gRPC interface, without TensorFlow.

tensorflow-serving-api has them too, but imports TensorFlow with them: half a gigabyte and
seconds, for a client that sends some bytes. Only the fields that are read or written here
are listed; protobuf passes over the others. They live in a pool of their own, so that they
meet no definition of the same name. The tests read and write them with tensorflow-serving-api's.

Reference:
    https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "keras_t3d.serving"
_Field = descriptor_pb2.FieldDescriptorProto

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
    "PredictResponse": [(1, "outputs", "map TensorProto")],
    "GetModelMetadataRequest": [
        (1, "model_spec", "ModelSpec"),
        (2, "metadata_field", "repeated string"),
    ],
    "Any": [(1, "type_url", "string"), (2, "value", "bytes")],
    "GetModelMetadataResponse": [(2, "metadata", "map Any")],
    "TensorInfo": [
        (1, "name", "string"),
        (2, "dtype", "int32"),
        (3, "tensor_shape", "TensorShapeProto"),
    ],
    "SignatureDef": [(1, "inputs", "map TensorInfo"), (2, "outputs", "map TensorInfo")],
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


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", package=_PACKAGE)
    file.syntax = "proto3"
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            label, _, of = kind.rpartition(" ")
            if label == "map":
                entry = message.nested_type.add(name=f"{field.title().replace('_', '')}Entry")
                entry.options.map_entry = True
                entry.field.append(_field(1, "key", "string"))
                entry.field.append(_field(2, "value", of))
                of = f"{name}.{entry.name}"
            message.field.append(_field(number, field, of, repeated=label != ""))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def _field(number: int, name: str, kind: str, repeated: bool = False) -> Any:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    scalar = f"TYPE_{kind.upper()}"
    if hasattr(_Field, scalar):
        return _Field(name=name, number=number, label=label, type=getattr(_Field, scalar))
    return _Field(
        name=name,
        number=number,
        label=label,
        type=_Field.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.{kind}",
    )


message_classes: dict[str, Any] = _classes()

# Tensors, of the four types that the signatures of this package take and give.

_STRING = 7  # TensorFlow's number of the type
_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    4: np.dtype(np.uint8),
    9: np.dtype(np.int64),
}
_VALUES = {1: "float_val", 4: "int_val", 7: "string_val", 9: "int64_val"}


def type_name(number: int) -> str:
    """Returns the name of a TensorFlow type; its number, for one that is not used here."""
    return "string" if number == _STRING else str(_TYPES.get(number, f"type {number}"))


def to_tensor(array: np.ndarray) -> Any:
    """Returns a TensorProto: uint8, float32, int64, or bytes in an array of objects.

    Raises:
        ValueError: if its type is another.
    """
    if array.dtype != object and array.dtype not in _TYPES.values():
        raise ValueError(
            f"Expected an array of {', '.join(map(str, _TYPES.values()))} or objects. "
            f"Received: {array.dtype}"
        )
    tensor = message_classes["TensorProto"]()
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        tensor.dtype = _STRING
        tensor.string_val.extend(array.ravel().tolist())
        return tensor
    tensor.dtype = next(number for number, dtype in _TYPES.items() if dtype == array.dtype)
    tensor.tensor_content = array.tobytes()
    return tensor


def constant_tensor(shape: tuple[int, ...], value: int | bytes) -> Any:
    """Returns a TensorProto of one value, uint8 or bytes: TensorFlow repeats the last value."""
    tensor = to_tensor(np.empty((0,), object if isinstance(value, bytes) else np.uint8))
    del tensor.tensor_shape.dim[:]
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    getattr(tensor, _VALUES[tensor.dtype]).append(value)
    return tensor


def to_array(tensor: Any) -> np.ndarray:
    """Returns the array of a TensorProto; strings as bytes in an array of objects.

    Raises:
        ValueError: if its type is another.
    """
    if tensor.dtype not in _VALUES:
        raise ValueError(
            f"Expected a tensor of {', '.join(map(type_name, _VALUES))}. "
            f"Received: {type_name(tensor.dtype)}"
        )
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    dtype: np.dtype[Any] = _TYPES.get(tensor.dtype, np.dtype(object))
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    values = np.array(list(getattr(tensor, _VALUES[tensor.dtype])), dtype)
    if 0 < values.size < np.prod(shape):  # the last one stands for all that follow
        values = np.concatenate([values, np.repeat(values[-1:], np.prod(shape) - values.size)])
    return values.reshape(shape)
