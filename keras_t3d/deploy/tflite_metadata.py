"""TFLite metadata: the description of a file for tools that read model files.

The tables follow `metadata_schema.fbs` of TensorFlow Lite Support, which has no writer for
current Python versions; fields are addressed by their position there.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.artifact_files import CLIP_SPEC, LABELS
from keras_t3d.deploy.tflite_versions import write_oldest_runtime
from keras_t3d.models import VideoClassifier
from keras_t3d.streaming import StreamingForm

NAME = "TFLITE_METADATA"
_IDENTIFIER, _FILE_IDENTIFIER = b"M001", b"TFL3"
_PARSER = "1.0.0"
_AXIS_LABELS = 2  # an AssociatedFileType
_PROBABILITIES: dict[int, Any] = {
    0: "probabilities",
    1: f"Of each class, in the order of {LABELS}.",
    6: [{0: LABELS, 2: _AXIS_LABELS}],
}
_Described = tuple[list[dict[int, Any]], list[dict[int, Any]]]  # inputs and outputs


def with_metadata(
    content: bytes,
    model: VideoClassifier,
    licence: str | None = None,
    stream: StreamingForm | None = None,
) -> bytes:
    """Returns a LiteRT file with metadata: tensors, associated files, licence, oldest runtime.

    Args:
        content: a `.tflite` file.
        model: the model that it was made from.
        licence: text of the model's licence.
        stream: form of the model whose steps the file computes; None for one of clips.
    """
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    described = _clip_tensors(model) if stream is None else _step_tensors(file, stream)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_metadata(model, licence, described), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, len(file.buffers)
    file.buffers.append(buffer)
    file.metadata = [*(file.metadata or []), entry]
    write_oldest_runtime(file)
    return pack(file)


def pack(file: schema.ModelT) -> bytes:
    """Serialises a `.tflite` file."""
    builder = flatbuffers.Builder()
    builder.Finish(file.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def _clip_tensors(model: VideoClassifier) -> _Described:
    """Returns the tables of input and output."""
    clip_text = f"RGB frames, uint8, {model.clip_spec.num_frames} of them {_frames_text(model)}"
    return [{0: "clip", 1: clip_text}], [_PROBABILITIES]


def _step_tensors(file: schema.ModelT, stream: StreamingForm) -> _Described:
    """Returns the tables of inputs and outputs, in the order of the file's."""
    (graph,), (signature,) = file.subgraphs, file.signatureDefs
    frames_text = f"The next RGB frames, uint8, {stream.frames_per_step} of them "
    frames = {0: "frames", 1: frames_text + _frames_text(stream.model)}
    before = "State after the last step; to reset, fill it with its zero point (0 for floats)."
    tables = []
    for places, entries, text in (
        (graph.inputs, signature.inputs, before),
        (graph.outputs, signature.outputs, "State after this step, for the next one."),
    ):
        names = {entry.tensorIndex: entry.name.decode() for entry in entries}
        known = {"frames": frames, "probabilities": _PROBABILITIES}
        tables.append([known.get(names[place], {0: names[place], 1: text}) for place in places])
    return tables[0], tables[1]


def _frames_text(model: VideoClassifier) -> str:
    clip_spec = model.clip_spec
    spacing = f"{clip_spec.frame_stride} apart"
    if clip_spec.fps is not None:
        spacing = f"{clip_spec.fps:g} a second"
    return (
        f"{spacing}, short side resized to {clip_spec.resize}, cropped to {clip_spec.crop}; "
        f"see {CLIP_SPEC}."
    )


def _metadata(model: VideoClassifier, licence: str | None, described: _Described) -> bytes:
    root: dict[int, Any] = {
        0: model.name,
        1: f"Recognises {len(model.class_names)} classes of videos. Made by keras_t3d.",
        3: [{2: described[0], 3: described[1]}],
        6: [{0: CLIP_SPEC}],
        7: _PARSER,
    }
    if licence is not None:
        root[5] = licence
    builder = flatbuffers.Builder()
    builder.Finish(_write(builder, root), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _write(builder: flatbuffers.Builder, value: Any) -> int:
    """Writes a string, a table (values by position) or a list of tables; returns its offset."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list):
        offsets = [_write(builder, table) for table in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    # What a table refers to must precede it.
    fields = {n: x if isinstance(x, int) else _write(builder, x) for n, x in value.items()}
    builder.StartObject(1 + max(fields))
    for place, field in fields.items():
        if isinstance(value[place], int):
            builder.PrependInt8Slot(place, field, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(place, field, 0)
    return builder.EndObject()
