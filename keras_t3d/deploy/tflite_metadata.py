"""TFLite metadata: the description of a file for tools that read model files.

The tables follow `metadata_schema.fbs` of TensorFlow Lite Support, which has no writer for
current Python versions; fields are addressed by their position there.
"""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.artifact_files import CLIP_SPEC, LABELS
from keras_t3d.models import VideoClassifier

NAME = "TFLITE_METADATA"
_IDENTIFIER, _FILE_IDENTIFIER = b"M001", b"TFL3"
_PARSER = "1.0.0"
_AXIS_LABELS = 2  # an AssociatedFileType


def with_metadata(content: bytes, model: VideoClassifier, licence: str | None = None) -> bytes:
    """Returns a LiteRT file with metadata: its tensors, associated files and licence.

    Args:
        content: a `.tflite` file with one input and one output.
        model: the model that it was made from.
        licence: text of the model's licence.
    """
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_metadata(model, licence), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, len(file.buffers)
    file.buffers.append(buffer)
    file.metadata = [*(file.metadata or []), entry]
    return pack(file)


def pack(file: schema.ModelT) -> bytes:
    """Serialises a `.tflite` file."""
    builder = flatbuffers.Builder()
    builder.Finish(file.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def _metadata(model: VideoClassifier, licence: str | None) -> bytes:
    builder = flatbuffers.Builder()
    clip_spec = model.clip_spec
    clip = _Table(builder)
    clip.text(0, "clip")
    clip.text(
        1,
        f"RGB frames, uint8, {clip_spec.num_frames} of them {clip_spec.frame_stride} apart, "
        f"short side resized to {clip_spec.resize}, cropped to {clip_spec.crop}; see {CLIP_SPEC}.",
    )
    probabilities = _Table(builder)
    probabilities.text(0, "probabilities")
    probabilities.text(1, f"Of each class, in the order of {LABELS}.")
    probabilities.offset(6, _vector(builder, [_file(builder, LABELS, _AXIS_LABELS)]))
    graph = _Table(builder)
    graph.offset(2, _vector(builder, [clip.end()]))
    graph.offset(3, _vector(builder, [probabilities.end()]))
    root = _Table(builder)
    root.text(0, model.name)
    root.text(1, f"Recognises {len(model.class_names)} classes of videos. Made by keras_t3d.")
    root.offset(3, _vector(builder, [graph.end()]))
    if licence is not None:
        root.text(5, licence)
    root.offset(6, _vector(builder, [_file(builder, CLIP_SPEC)]))
    root.text(7, _PARSER)
    builder.Finish(root.end(), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _file(builder: flatbuffers.Builder, name: str, kind: int | None = None) -> int:
    table = _Table(builder)
    table.text(0, name)
    if kind is not None:
        table.byte(2, kind)
    return table.end()


def _vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


class _Table:
    """Fields of a table, written at the end: the values that they refer to must precede it."""

    def __init__(self, builder: flatbuffers.Builder) -> None:
        self._builder = builder
        self._offsets: dict[int, int] = {}
        self._bytes: dict[int, int] = {}

    def text(self, place: int, value: str) -> None:
        self._offsets[place] = self._builder.CreateString(value)

    def offset(self, place: int, value: int) -> None:
        self._offsets[place] = value

    def byte(self, place: int, value: int) -> None:
        self._bytes[place] = value

    def end(self) -> int:
        self._builder.StartObject(1 + max([*self._offsets, *self._bytes]))
        for place, value in self._offsets.items():
            self._builder.PrependUOffsetTRelativeSlot(place, value, 0)
        for place, value in self._bytes.items():
            self._builder.PrependInt8Slot(place, value, 0)
        return self._builder.EndObject()
