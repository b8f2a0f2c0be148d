"""Builds protocol buffer classes from tables, without TensorFlow or generated code.

TensorFlow's own classes would import TensorFlow: half a gigabyte and seconds, for a conversion
worker or a client that reads and writes some bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto


def build_message_classes(
    package: str, messages: Mapping[str, Sequence[tuple[int, str, str]]]
) -> dict[str, Any]:
    """Returns the classes of proto3 messages, by name.

    They live in a descriptor pool of their own, apart from other definitions of these names.

    Args:
        package: name of the protocol buffer package.
        messages: for each message its fields as (number, name, type). A type is a scalar such
            as `"int64"`, or the name of a message in the table; `"repeated T"`, `"map T"` (from
            strings to T) and `"oneof T"` (at most one of these fields is set) are possible.

    Example:

    ```python
    classes = build_message_classes("example", {"Point": [(1, "x", "float"), (2, "y", "float")]})
    classes["Point"](x=1.0).SerializeToString()
    ```

    Reference:
        https://protobuf.dev/programming-guides/proto3
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package)
    file.syntax = "proto3"
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            label, _, of = kind.rpartition(" ")
            if label == "map":
                entry = message.nested_type.add(name=f"{field.title().replace('_', '')}Entry")
                entry.options.map_entry = True
                entry.field.append(_field(package, 1, "key", "string"))
                entry.field.append(_field(package, 2, "value", of))
                of = f"{name}.{entry.name}"
            descriptor = _field(package, number, field, of, repeated=label in ("map", "repeated"))
            if label == "oneof":
                if not message.oneof_decl:
                    message.oneof_decl.add(name="kind")
                descriptor.oneof_index = 0
            message.field.append(descriptor)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _field(package: str, number: int, name: str, kind: str, repeated: bool = False) -> Any:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    scalar = f"TYPE_{kind.upper()}"
    if hasattr(_Field, scalar):
        return _Field(name=name, number=number, label=label, type=getattr(_Field, scalar))
    return _Field(
        name=name,
        number=number,
        label=label,
        type=_Field.TYPE_MESSAGE,
        type_name=f".{package}.{kind}",
    )
