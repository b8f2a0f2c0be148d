"""Features of single frames, stored beside the shards that the frames come from.

```
FOLDER/teacher.json     the teacher, view and shards of the features
FOLDER/train-00000.f16  float16, little endian, one row per frame, record after record
FOLDER/train-00000.json {"shard": ..., "width": ..., "keys": [...], "frames": [...]}: its records
```

The JSON file is written last: features that have one are complete.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from keras_t3d.atomic import written_durably
from keras_t3d.data.clips.clip import Clip
from keras_t3d.errors import InvalidArgumentError, KerasT3DError

DESCRIPTION = "teacher.json"
FRAME_FEATURES = "frame_features"
_TYPE = np.dtype("<f2")


class FrameFeaturesError(KerasT3DError, ValueError):
    """Stored frame features are damaged, of other shards, or cannot be stored."""


class FrameFeatures:
    """Looks up the features of frames by record, and adds them to clips.

    Created by `open`. It is a transform for ClipReader: batches then hold `"frame_features"`,
    float32 `(batch, width)`, the mean over each clip's own frames. Rows are read on demand; no
    file stays open.

    Attributes:
        folder: where the features are.
        width: number of features.
    """

    def __init__(self, folder: pathlib.Path, splits: Sequence[str]) -> None:
        self.folder = folder
        self.width = 0
        self._places: dict[str, tuple[pathlib.Path, int, int]] = {}  # file, first row, rows
        for index in sorted(path for split in splits for path in folder.glob(f"{split}-*.json")):
            records = _read_index(index)
            self.width, first = records["width"], 0
            for key, frames in zip(records["keys"], records["frames"], strict=True):
                if key in self._places:
                    raise FrameFeaturesError(_twice(key, folder))
                self._places[key] = (index.with_suffix(".f16"), first, frames)
                first += frames

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], splits: Sequence[str] = ("train", "val", "test")
    ) -> FrameFeatures:
        """Opens features that `keras_t3d.transfer.write_frame_features` wrote.

        Args:
            folder: folder that it returned.
            splits: splits to open.

        Raises:
            InvalidArgumentError: if the folder holds no features of these splits.
            FrameFeaturesError: if features are damaged, or two records have the same key.

        Example:

        ```python
        features = FrameFeatures.open(folder, ["train"])
        ```
        """
        folder = pathlib.Path(folder)
        features = cls(folder, splits)
        if not features.width:
            raise InvalidArgumentError(
                "`folder` must hold frame features of the splits "
                f"{list(splits)}, as keras_t3d.transfer.write_frame_features writes them. "
                f"Received: {folder}",
                argument="folder",
            )
        return features

    def __call__(self, clip: Clip) -> Clip:
        """Returns the clip with the mean features of its frames.

        Args:
            clip: clip of either form of ClipReader.

        Raises:
            FrameFeaturesError: as `mean`; in the tf.data form its error when run.
        """
        if isinstance(clip.frames, np.ndarray):
            mean = self.mean(clip.key, clip.frames)
        else:
            import tensorflow as tf

            from keras_t3d.data.clips.python_calls import call_python

            def lookup(key: bytes, frames: np.ndarray) -> np.ndarray:
                return self.mean(key.decode("utf-8", "surrogateescape"), frames)

            mean = call_python(lookup, [clip.key, clip.frames], tf.float32)
            mean = tf.ensure_shape(mean, (self.width,))
        return clip._replace(features={**clip.features, FRAME_FEATURES: mean})

    def mean(self, key: str, frames: np.ndarray) -> np.ndarray:
        """Returns the mean of the features of some frames of a record.

        Args:
            key: key of the record, see `keras_t3d.data.clips.record_keys.record_key`.
            frames: integers (frames,), indices of its frames, possibly repeated.

        Returns:
            float32 (width,).

        Raises:
            FrameFeaturesError: if there is no such record or frame.
        """
        path, first, count = self._places.get(key, (self.folder, 0, 0))
        lowest, highest = int(frames.min()), int(frames.max())
        if lowest < 0 or highest >= count:
            raise FrameFeaturesError(
                f"The frame features belong to other shards: remove {self.folder} and compute them "
                f"again. Received: frames up to {highest} of the record {key!r}, of which they "
                f"hold {count}"
            )
        rows = np.fromfile(
            path,
            _TYPE,
            count=(highest - lowest + 1) * self.width,
            offset=(first + lowest) * self.width * _TYPE.itemsize,
        )
        return rows.reshape(-1, self.width)[frames - lowest].astype(np.float32).mean(axis=0)


def is_written(folder: pathlib.Path, name: str, shard: str, records: int) -> bool:
    """Whether the features of a shard exist, are complete, and have as many records."""
    index = folder / f"{name}.json"
    if not index.is_file():
        return False
    try:
        stored = _read_index(index)
    except ValueError:
        return False
    return stored["shard"] == shard and len(stored["keys"]) == records


@dataclasses.dataclass
class ShardFeatures:
    """Writes the features of a shard's records in order, see `shard_features`."""

    file: BinaryIO
    width: int = 0
    keys: list[str] = dataclasses.field(default_factory=list)
    frames: list[int] = dataclasses.field(default_factory=list)

    def begin(self, key: str, frames: int) -> None:
        """Starts a record with its number of frames; their rows follow."""
        self.keys.append(key)
        self.frames.append(frames)

    def add(self, rows: np.ndarray) -> None:
        """Appends float32 rows `(frames, width)`, in the order of the records."""
        with np.errstate(over="ignore"):  # checked below
            stored = rows.astype(_TYPE)
        if not np.isfinite(stored).all():
            raise FrameFeaturesError(
                "Frame features are stored as float16, whose largest number is 65504: scale the "
                "teacher's features down, or train without `cache_features`. "
                f"Received: features up to {np.abs(rows).max():g} in {self.keys[-1]!r}"
            )
        self.width = stored.shape[1]
        self.file.write(stored.tobytes())


@contextlib.contextmanager
def shard_features(folder: pathlib.Path, name: str, shard: str) -> Iterator[ShardFeatures]:
    """Opens a ShardFeatures to write to; its files appear when the block ends.

    Args:
        folder: where the features are written.
        name: name of the files: split and number.
        shard: name of the shard's file.

    Raises:
        FrameFeaturesError: if two records have the same key, or a feature is too large.
    """
    with (
        written_durably(folder / f"{name}.f16") as part,
        part.open("wb") as file,
    ):
        features = ShardFeatures(file)
        yield features
        doubled = [key for key, count in collections.Counter(features.keys).items() if count > 1]
        if doubled:
            raise FrameFeaturesError(_twice(doubled[0], shard))
    records = {"shard": shard, "width": features.width}
    records |= {"keys": features.keys, "frames": features.frames}
    with written_durably(folder / f"{name}.json") as part:
        part.write_text(json.dumps(records) + "\n", encoding="utf-8")


def _read_index(path: pathlib.Path) -> dict[str, Any]:
    rows = path.with_suffix(".f16")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        expected = sum(index["frames"]) * index["width"] * _TYPE.itemsize
        complete = rows.stat().st_size == expected and len(index["keys"]) == len(index["frames"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise FrameFeaturesError(_damaged(path, str(error))) from None
    if not complete:
        raise FrameFeaturesError(_damaged(path, f"{rows.name} has another size"))
    return index


def _damaged(path: pathlib.Path, why: str) -> str:
    return (
        f"Frame features are damaged: remove {path} and compute them again, with "
        f"keras_t3d.transfer.write_frame_features or `cache_features`. Received: {why}"
    )


def _twice(key: str, where: object) -> str:
    return (
        "Frame features are stored by record id, or by the first frame of records without one, "
        "which must be unique. Train without `cache_features`, or convert the videos with "
        f"`keras-t3d convert`. Received: {key!r} twice in {where}"
    )
