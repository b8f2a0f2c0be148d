"""The record of one video: a SequenceExample in the format of DMVR and the TF Model Garden.

Its protocol buffers are TensorFlow's, without TensorFlow.

Reference:
    https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/example.proto
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from keras_t3d.clips.frame_rate import even_times
from keras_t3d.data.shards.errors import RecordError
from keras_t3d.data.shards.record_index import FrameIndex
from keras_t3d.protocol_buffers import build_message_classes

FRAMES = "image/encoded"
LABEL_INDEX = "clip/label/index"
LABEL_TEXT = "clip/label/text"
VIDEO_ID = "clip/id"
HEIGHT = "image/height"
WIDTH = "image/width"
FPS = "video/fps"
INDEX = "keras_t3d/index"
ONE_LABEL = "A record must have one label, as a classifier reads one class of each video"
TIMES = "image/timestamp"  # as MediaPipe names it

_messages: Any = build_message_classes(
    "keras_t3d",
    {
        "BytesList": [(1, "value", "repeated bytes")],
        "FloatList": [(1, "value", "repeated float")],
        "Int64List": [(1, "value", "repeated int64")],
        "Feature": [
            (1, "bytes_list", "oneof BytesList"),
            (2, "float_list", "oneof FloatList"),
            (3, "int64_list", "oneof Int64List"),
        ],
        "Features": [(1, "feature", "map Feature")],
        "FeatureList": [(1, "feature", "repeated Feature")],
        "FeatureLists": [(1, "feature_list", "map FeatureList")],
        "SequenceExample": [(1, "context", "Features"), (2, "feature_lists", "FeatureLists")],
    },
)
SequenceExample, FeatureLists = _messages["SequenceExample"], _messages["FeatureLists"]


@dataclasses.dataclass(frozen=True)
class EncodedVideo:
    """The frames of one record.

    Attributes:
        frames: JPEG bytes, one item per frame.
        height: height of the frames, in pixels.
        width: width of the frames, in pixels.
        fps: mean frames per second; 0.0 if unknown.
        times: when each frame is shown, in microseconds from the start of the whole video; empty
            if unknown.
    """

    frames: Sequence[bytes]
    height: int
    width: int
    fps: float
    times: Sequence[int] = dataclasses.field(default=(), kw_only=True)


@dataclasses.dataclass(frozen=True)
class StoredVideo(EncodedVideo):
    """The content of a record: an EncodedVideo, its label and its id.

    Attributes:
        label_index: class id; -1 if the record has none.
        label: class name; empty if the record has none.
        video_id: empty if the record has none.
    """

    label_index: int
    label: str
    video_id: str


def make_record(video: EncodedVideo, video_id: str, label: str, label_index: int) -> bytes:
    """Returns the serialized record of an encoded video.

    Args:
        video: its frames.
        video_id: unique in the dataset.
        label: class name; empty for a video without a label.
        label_index: class id; -1 for a video without a label.
    """
    example = SequenceExample()
    context = example.context.feature
    if label_index >= 0:
        context[LABEL_INDEX].int64_list.value.append(label_index)
        context[LABEL_TEXT].bytes_list.value.append(label.encode("utf-8"))
    context[VIDEO_ID].bytes_list.value.append(video_id.encode("utf-8", "surrogateescape"))
    context[HEIGHT].int64_list.value.append(video.height)
    context[WIDTH].int64_list.value.append(video.width)
    context[FPS].float_list.value.append(video.fps)
    for time in video.times:
        example.feature_lists.feature_list[TIMES].feature.add().int64_list.value.append(time)
    index = FrameIndex.of(video.frames, _serialized(example.feature_lists))
    packed = index.packed(_serialized(example.context))
    context[INDEX].bytes_list.value.append(packed)
    frames = example.feature_lists.feature_list[FRAMES].feature
    for frame in video.frames:
        frames.add().bytes_list.value.append(frame)
    return _serialized(example)


def _serialized(message: Any) -> bytes:
    return message.SerializeToString(deterministic=True)


def stored_video(serialized: bytes) -> StoredVideo:
    """Reads a record; what other writers leave out gets a default.

    Raises:
        RecordError: if it is no SequenceExample, holds no frames, or has several labels.
    """
    try:
        example = SequenceExample.FromString(serialized)
    except DecodeError:
        raise RecordError("A record must be a tf.train.SequenceExample of video frames.") from None
    frames = tuple(
        frame
        for feature in example.feature_lists.feature_list[FRAMES].feature
        for frame in feature.bytes_list.value
    )
    if not frames:
        raise RecordError(f"A record must hold JPEG frames in the feature list {FRAMES!r}.")
    return described_video(example.context, frames, stored_times(example.feature_lists))


def described_video(context: Any, frames: Sequence[bytes], times: Sequence[int]) -> StoredVideo:
    """Returns the content of a record.

    Args:
        context: its message Features.
        frames: its frames.
        times: its times; not as many as frames if it has none.

    Raises:
        RecordError: if it has several labels.
    """
    features = context.feature
    labels = features[LABEL_INDEX].int64_list.value if LABEL_INDEX in features else ()
    if len(labels) > 1:
        raise RecordError(f"{ONE_LABEL}. Received: the labels {list(labels)}")
    fps = _first(features, FPS, "float_list", 0.0)
    if len(times) != len(frames):
        times = tuple(even_times(len(frames), fps).tolist()) if fps > 0 else ()
    height, width = (_first(features, name, "int64_list", 0) for name in (HEIGHT, WIDTH))
    if not (height and width):
        width, height = _frame_size(frames[0])
    return StoredVideo(
        frames=frames,
        label_index=_first(features, LABEL_INDEX, "int64_list", -1),
        label=_first(features, LABEL_TEXT, "bytes_list", b"").decode("utf-8", "replace"),
        video_id=_first(features, VIDEO_ID, "bytes_list", b"").decode("utf-8", "surrogateescape"),
        height=height,
        width=width,
        fps=fps,
        times=times,
    )


def stored_times(feature_lists: Any) -> tuple[int, ...]:
    """Returns the times in a message FeatureLists."""
    return tuple(
        time
        for feature in feature_lists.feature_list[TIMES].feature
        for time in feature.int64_list.value
    )


def _first(context: Any, name: str, kind: str, default: Any) -> Any:
    values = getattr(context[name], kind).value if name in context else ()
    return values[0] if values else default


def _frame_size(frame: bytes) -> tuple[int, int]:
    from PIL import Image

    with Image.open(io.BytesIO(frame)) as image:  # reads only the header
        return image.size
