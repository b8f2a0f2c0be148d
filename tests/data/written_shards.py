"""Shards written record by record: each video a class of its own, each frame tells its number."""

from __future__ import annotations

import io
import pathlib

import numpy as np
from PIL import Image

from keras_t3d.data import ShardSet
from keras_t3d.data.shards.record import EncodedVideo, make_record
from keras_t3d.data.shards.record_file import RecordWriter
from keras_t3d.data.shards.shard import Shard, checksum
from tests.conftest import counting_frames


def jpeg(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def shard_set(
    folder: pathlib.Path,
    examples: list[int],
    num_frames: int = 8,
    size: tuple[int, int] = (16, 20),
    fps: float = 25.0,
    frames: np.ndarray | None = None,
) -> ShardSet:
    """Writes the split "train"; the class id of a video is its place among all."""
    folder.mkdir(parents=True, exist_ok=True)
    if frames is None:
        frames = counting_frames(num_frames, *size)
    height, width = frames.shape[1:3]
    encoded = EncodedVideo(tuple(map(jpeg, frames)), height, width, fps)
    class_names = tuple(f"class {index}" for index in range(sum(examples)))
    shards = []
    number = 0
    for index, count in enumerate(examples):
        path = folder / f"train-{index:05d}-of-{len(examples):05d}.tfrecord"
        with RecordWriter(path) as writer:
            for _ in range(count):
                writer.write(make_record(encoded, f"v{number}", class_names[number], number))
                number += 1
        shards.append(Shard(path, "train", count, checksum(path)))
    return ShardSet(folder, class_names, min(height, width), tuple(shards))
