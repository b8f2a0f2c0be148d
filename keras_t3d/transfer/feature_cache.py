"""A teacher's features of every frame, computed once and kept beside the shards."""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from PIL import Image

from keras_t3d.atomic import write_text
from keras_t3d.clips import CENTRE, ClipSpec, take_view
from keras_t3d.data.arguments import opened
from keras_t3d.data.frame_features import DESCRIPTION, is_written, write_shard
from keras_t3d.data.shards.damage import check_local, damaged_shard, split_records
from keras_t3d.data.shards.record import StoredVideo, stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.data.source_videos import record_key
from keras_t3d.progress import Progress
from keras_t3d.transfer.frame_teacher import FrameTeacher

_BATCH = 32  # frames that pass the teacher at once
_READERS = 4  # threads that decode


def write_frame_features(
    teacher: FrameTeacher,
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    spec: ClipSpec,
    on_damage: str = "error",
    progress: Progress | None = None,
) -> pathlib.Path:
    """Computes a frozen teacher's features of every frame of a split, in the centre view.

    A training clip then takes the mean of its own frames': its time is still drawn. Its window,
    flip and colours are not the teacher's, who saw the centre, unchanged.

    The features lie beside the shards, in `frame_features/` and a name that follows from
    teacher, view and shards. What is there is not computed again: a call that was stopped goes
    on with the shard it was at.

    Args:
        teacher: FrameTeacher.
        shards: folder that `convert` wrote, or a ShardSet, on a local disk.
        split: `"train"`, `"val"` or `"test"`.
        spec: ClipSpec. Its `resize` and `crop` are the view.
        on_damage: see `load_unlabelled_clips`. Defaults to `"error"`.
        progress: called with (records done, records in all). Defaults to `None`.

    Returns:
        The folder, for `FrameFeatures.open`.

    Raises:
        ValueError: if the shards do not fit the spec, a record is damaged, or two records have
            one id.

    Example:

    ```python
    folder = write_frame_features(teacher, "shards/ucf101", "train", spec)
    clips = load_unlabelled_clips(
        "shards/ucf101", "train", spec, 32, training=True,
        frame_features=FrameFeatures.open(folder),
    )
    ```
    """
    shards = opened(shards, split, spec)
    records = split_records(shards, split, on_damage)
    check_local(records.paths, "write_frame_features")
    said = _description(teacher, shards, spec)
    name = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    folder = pathlib.Path(str(shards.folder)) / "frame_features" / name
    done, compute = 0, _compiled(teacher, spec)
    for number, path in enumerate(records.paths):
        shard = pathlib.Path(path).name
        if records.examples[number] and not is_written(folder, shard):
            offsets = records.offsets[number] if records.offsets else record_offsets(path)
            keys, features = _of_shard(path, offsets, spec, compute)
            write_shard(folder, shard, keys, features)
        done += records.examples[number]
        if progress is not None:
            progress(done, records.num_videos)
    write_text(folder / DESCRIPTION, json.dumps(said, indent=1) + "\n")
    return folder


def _description(teacher: FrameTeacher, shards: ShardSet, spec: ClipSpec) -> dict[str, Any]:
    """All that features follow from."""
    weights = hashlib.sha256()
    for variable in teacher.network.weights:  # not the seeds of dropout, which never runs
        weights.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes())
    how = teacher.preprocessing
    return {
        "network": teacher.network.name,
        "weights": weights.hexdigest(),
        "preprocessing": f"{how.__module__}.{how.__qualname__}" if callable(how) else how,
        "image_size": teacher.image_size,
        "resize": spec.resize,
        "crop": list(spec.crop_size),
        "shards": [
            [os.path.basename(str(shard.path)), shard.examples, shard.sha256]
            for shard in shards.shards
        ],
    }


def _compiled(teacher: FrameTeacher, spec: ClipSpec) -> keras.Model:
    frames = keras.Input((*spec.crop_size, 3), name="frames")
    return keras.Model(frames, teacher.frame_features(frames))


def _of_shard(
    path: str, offsets: np.ndarray, spec: ClipSpec, compute: keras.Model
) -> tuple[list[str], list[np.ndarray]]:
    keys, lengths, batches = [], [], []
    left = np.empty((0, *spec.crop_size, 3), np.uint8)
    for key, frames in _views(path, offsets, spec):
        keys.append(key)
        lengths.append(len(frames))
        left = np.concatenate([left, frames])
        while len(left) >= _BATCH:
            batches.append(compute.predict_on_batch(left[:_BATCH]))
            left = left[_BATCH:]
    if len(left):  # filled: another size would be compiled again
        filled = np.concatenate([left, np.zeros((_BATCH - len(left), *left.shape[1:]), np.uint8)])
        batches.append(compute.predict_on_batch(filled)[: len(left)])
    rows = np.concatenate([np.asarray(batch, np.float32) for batch in batches])
    return keys, np.split(rows, np.cumsum(lengths)[:-1])


def _views(path: str, offsets: np.ndarray, spec: ClipSpec) -> Iterator[tuple[str, np.ndarray]]:
    """Each record's key and all its frames, decoded some records ahead."""
    with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
        ahead = [pool.submit(_view, path, int(offset), spec) for offset in offsets[:_READERS]]
        for offset in [*offsets[_READERS:], *([None] * len(ahead))]:
            yield ahead.pop(0).result()
            if offset is not None:
                ahead.append(pool.submit(_view, path, int(offset), spec))


def _view(path: str, offset: int, spec: ClipSpec) -> tuple[str, np.ndarray]:
    try:
        with open(path, "rb") as file:
            video = stored_video(read_record(file, offset))
    except ValueError as error:
        raise damaged_shard(f"{path}, byte {offset}: {error}") from None
    whole = ClipSpec.from_config(
        {**spec.get_config(), "num_frames": len(video.frames), "frame_stride": 1}
    )
    return record_key(video.video_id, video.frames[0]), take_view(_decoded(video), whole, 0, CENTRE)


def _decoded(video: StoredVideo) -> np.ndarray:
    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in video.frames]
    return np.stack([np.asarray(image) for image in images])
