"""The protocol buffers of a record, as TensorFlow defines them, without TensorFlow.

They live in a pool of their own, so that they meet no definition of the same name.

Reference:
    https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/example.proto
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "keras_t3d"
_Field = descriptor_pb2.FieldDescriptorProto


def _field(name: str, number: int, kind: int, of: str | None = None, repeated: bool = True) -> Any:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    type_name = f".{_PACKAGE}.{of}" if of else None
    return _Field(name=name, number=number, type=kind, label=label, type_name=type_name)


def _map(file: Any, name: str, field: str, values: str) -> None:
    """Adds a message that holds one map from strings."""
    message = file.message_type.add(name=name)
    entry = message.nested_type.add(name=f"{field.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    entry.field.append(_field("key", 1, _Field.TYPE_STRING, repeated=False))
    entry.field.append(_field("value", 2, _Field.TYPE_MESSAGE, values, repeated=False))
    message.field.append(_field(field, 1, _Field.TYPE_MESSAGE, f"{name}.{entry.name}"))


def _sequence_example() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package=_PACKAGE)
    file.syntax = "proto3"
    kinds = {"Bytes": _Field.TYPE_BYTES, "Float": _Field.TYPE_FLOAT, "Int64": _Field.TYPE_INT64}
    for name, kind in kinds.items():
        file.message_type.add(name=f"{name}List").field.append(_field("value", 1, kind))
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(kinds, start=1):
        one = _field(
            f"{name.lower()}_list", number, _Field.TYPE_MESSAGE, f"{name}List", repeated=False
        )
        one.oneof_index = 0
        feature.field.append(one)
    _map(file, "Features", "feature", "Feature")
    features = file.message_type.add(name="FeatureList")
    features.field.append(_field("feature", 1, _Field.TYPE_MESSAGE, "Feature"))
    _map(file, "FeatureLists", "feature_list", "FeatureList")
    example = file.message_type.add(name="SequenceExample")
    example.field.append(_field("context", 1, _Field.TYPE_MESSAGE, "Features", repeated=False))
    example.field.append(
        _field("feature_lists", 2, _Field.TYPE_MESSAGE, "FeatureLists", repeated=False)
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{_PACKAGE}.SequenceExample")
    )


SequenceExample: Any = _sequence_example()
