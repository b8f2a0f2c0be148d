"""A teacher's features of every frame, computed once and kept beside the shards."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image

from keras_t3d.atomic import write_text
from keras_t3d.clips import ClipSpec, take_view
from keras_t3d.data.clips.frame_features import (
    DESCRIPTION,
    ShardFeatures,
    is_written,
    shard_features,
)
from keras_t3d.data.clips.plan import open_shards
from keras_t3d.data.clips.record_keys import record_key
from keras_t3d.data.shards.damage import check_local, damaged_shard, split_records
from keras_t3d.data.shards.record import stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.data.shards.shard_set import Shard, ShardSet
from keras_t3d.folder_lock import written_by_many
from keras_t3d.progress import Progress
from keras_t3d.transfer.frame_teacher import FrameTeacher

_BATCH = 32  # frames that pass the teacher at once
_READERS = 4  # threads that decode


def write_frame_features(
    teacher: FrameTeacher,
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    spec: ClipSpec,
    *,
    skip_damaged: bool = False,
    progress: Progress | None = None,
) -> pathlib.Path:
    """Computes a frozen teacher's features of every frame of a split, in the centre view.

    A training clip then takes the mean of its own frames': its time is still drawn. Its window,
    flip and colours are not the teacher's, who saw the centre, unchanged.

    The features lie beside the shards, in `frame_features/` and a name that follows from
    teacher, view and shards: two bytes a feature and frame. What is there is not computed again:
    a call that was stopped goes on with the shard it was at.

    Args:
        teacher: FrameTeacher.
        shards: folder that `convert` wrote, or a ShardSet, on a local disk.
        split: `"train"`, `"val"` or `"test"`.
        spec: ClipSpec. Its `resize` and `crop` are the view.
        skip_damaged: whether to leave out damaged records, with a warning.
        progress: called with (records done, records in all). Defaults to `None`.

    Returns:
        The folder, for `keras_t3d.data.FrameFeatures.open`.

    Raises:
        ValueError: if the shards do not fit the spec, a record is damaged, two records of a
            shard have one id, or a feature is too large for float16.

    Example:

    ```python
    folder = write_frame_features(teacher, "shards/ucf101", "train", spec)
    clips = keras_t3d.data.load_clips(
        "shards/ucf101", "train", spec, 32, training=True, labelled=False,
        transforms=[keras_t3d.data.FrameFeatures.open(folder)],
    )
    ```
    """
    shards = open_shards(shards, split, spec)
    records = split_records(shards, split, skip_damaged=skip_damaged)
    check_local(records.paths, "write_frame_features")
    said = {
        "teacher": teacher.fingerprint(),
        "view": [spec.resize, list(spec.crop_size)],
        "shards": [_identity(shard) for shard in shards.shards],
    }
    name = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    folder = pathlib.Path(str(shards.folder)) / "frame_features" / name
    done, compute = 0, _compiled(teacher, spec)
    with written_by_many(folder):
        for number, (path, count) in enumerate(zip(records.paths, records.examples, strict=True)):
            files, shard = f"{split}-{number:05d}", os.path.basename(path)
            if count and not is_written(folder, files, shard, count):
                offsets = records.offsets[number] if records.offsets else record_offsets(path)
                with shard_features(folder, files, shard) as features:
                    for batch in _batches(_frames(path, offsets, spec, features)):
                        features.add(compute(batch))
            done += count
            if progress is not None:
                progress(done, records.num_videos)
        if not (folder / DESCRIPTION).is_file():
            write_text(folder / DESCRIPTION, json.dumps(said, indent=1) + "\n")
    return folder


def _identity(shard: Shard) -> list[Any]:
    """What changes with a shard's content."""
    if shard.sha256 is not None:
        return [os.path.basename(str(shard.path)), shard.examples, shard.sha256]
    found = os.stat(str(shard.path))
    return [str(shard.path), shard.examples, found.st_size, found.st_mtime_ns]


def _compiled(teacher: FrameTeacher, spec: ClipSpec) -> Any:
    """A function from at most `_BATCH` frames to their features."""
    inputs = keras.Input((*spec.crop_size, 3), name="frames")
    model = keras.Model(inputs, teacher.frame_features(inputs))

    def compute(frames: np.ndarray) -> np.ndarray:
        # Filled: another size would be compiled again.
        filled = np.zeros((_BATCH, *frames.shape[1:]), np.uint8)
        filled[: len(frames)] = frames
        return np.asarray(model.predict_on_batch(filled), np.float32)[: len(frames)]

    return compute


def _batches(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    batch = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == _BATCH:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def _frames(
    path: str, offsets: np.ndarray, spec: ClipSpec, features: ShardFeatures
) -> Iterator[np.ndarray]:
    """The centre views of all frames of a shard; announces each record to `features`."""
    view = functools.partial(_views, spec)
    with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
        for offset in offsets:
            try:
                with open(path, "rb") as file:
                    video = stored_video(read_record(file, int(offset)))
            except ValueError as error:
                raise damaged_shard(f"{path}, byte {offset}: {error}") from None
            features.begin(record_key(video.video_id, video.frames[0]), len(video.frames))
            groups = [video.frames[n : n + _BATCH] for n in range(0, len(video.frames), _BATCH)]
            try:
                views = list(pool.map(view, groups))
            except (OSError, ValueError) as error:  # which name no file
                message = f"{path}, byte {offset}, {video.video_id}: {error}"
                raise damaged_shard(message) from None
            for group in views:
                yield from group


def _views(spec: ClipSpec, frames: Sequence[bytes]) -> np.ndarray:
    """The centre view of each frame. Many at once: one by one takes twelve times as long."""
    images = [np.asarray(Image.open(io.BytesIO(frame)).convert("RGB")) for frame in frames]
    return take_view(np.stack(images), ClipSpec(len(frames), 1, spec.resize, spec.crop), 0)
