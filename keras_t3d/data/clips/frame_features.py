"""Features of single frames, which lie beside the shards that the frames come from.

```
FOLDER/teacher.json     what computed them, and of what
FOLDER/train-00000.f16  float16, little endian, a row a frame, one record after the other
FOLDER/train-00000.json {"shard": ..., "width": ..., "keys": [...], "frames": [...]}: its records
```

The json file is written last: features that have one are whole.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_t3d.atomic import written_durably

DESCRIPTION = "teacher.json"
_TYPE = np.dtype("<f2")


class FrameFeatures:
    """Looks up the features of frames by record.

    Made by `open`. Rows are read when they are asked for; nothing stays open.

    Attributes:
        folder: pathlib.Path.
        width: int. Number of features.
    """

    def __init__(self, folder: pathlib.Path, splits: Sequence[str]) -> None:
        self.folder = folder
        self.width = 0
        self._places: dict[str, tuple[pathlib.Path, int, int]] = {}  # file, first row, rows
        for index in sorted(path for split in splits for path in folder.glob(f"{split}-*.json")):
            said = _read_index(index)
            self.width, first = said["width"], 0
            for key, frames in zip(said["keys"], said["frames"], strict=True):
                if key in self._places:
                    raise ValueError(_twice(key, folder))
                self._places[key] = (index.with_suffix(".f16"), first, frames)
                first += frames

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], splits: Sequence[str] = ("train", "val", "test")
    ) -> FrameFeatures:
        """Opens what `keras_t3d.transfer.write_frame_features` wrote.

        Args:
            folder: what it returned.
            splits: which of the splits in it. Defaults to all.

        Raises:
            ValueError: if the folder holds no features of these splits, they are damaged, or
                two records have one key.

        Example:

        ```python
        features = FrameFeatures.open(folder, ["train"])
        ```
        """
        folder = pathlib.Path(folder)
        features = cls(folder, splits)
        if not features.width:
            raise ValueError(
                "Expected a folder of frame features, as keras_t3d.transfer.write_frame_features "
                f"makes it, with the splits {list(splits)}. Received: {folder}"
            )
        return features

    def mean(self, key: str, frames: np.ndarray) -> np.ndarray:
        """Returns the mean of the features of some frames of a record.

        Args:
            key: str. The record's, see `keras_t3d.data.clips.source_videos.record_key`.
            frames: ints (frames,). Numbers of its frames; one may stand there more than once.

        Returns:
            float32 (width,).

        Raises:
            ValueError: if there is no such record, or no such frame.
        """
        path, first, count = self._places.get(key, (self.folder, 0, 0))
        lowest, highest = int(frames.min()), int(frames.max())
        if lowest < 0 or highest >= count:
            raise ValueError(
                f"The frame features are of other shards: remove {self.folder} and make them "
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
    """Whether the features of a shard are there, whole, and of as many records."""
    index = folder / f"{name}.json"
    if not index.is_file():
        return False
    try:
        said = _read_index(index)
    except ValueError:
        return False
    return said["shard"] == shard and len(said["keys"]) == records


class ShardFeatures:
    """Takes the features of a shard's records, in their order; see `shard_features`."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.width = 0
        self.keys: list[str] = []
        self.frames: list[int] = []

    def begin(self, key: str, frames: int) -> None:
        """Announces a record and how many frames it has; their rows follow."""
        self.keys.append(key)
        self.frames.append(frames)

    def add(self, rows: np.ndarray) -> None:
        """Writes float32 rows `(frames, width)`, of the records in their order."""
        with np.errstate(over="ignore"):  # refused below
            stored = rows.astype(_TYPE)
        if not np.isfinite(stored).all():
            raise ValueError(
                "Frame features are kept as float16, whose largest number is 65504: scale the "
                "teacher's features down, or train without --cache-features. "
                f"Received: features up to {np.abs(rows).max():g} beside {self.keys[-1]!r}"
            )
        self.width = stored.shape[1]
        self._file.write(stored.tobytes())


@contextlib.contextmanager
def shard_features(folder: pathlib.Path, name: str, shard: str) -> Iterator[ShardFeatures]:
    """Gives a ShardFeatures to write to; its files are there when the block is done.

    Args:
        folder: pathlib.Path.
        name: str. Of the files: split and number.
        shard: str. Name of the shard's file.

    Raises:
        ValueError: if two records have one key, or a feature is too large.
    """
    with (
        written_durably(folder / f"{name}.f16") as part,
        part.open("wb") as file,
    ):
        features = ShardFeatures(file)
        yield features
        doubled = [key for key, count in collections.Counter(features.keys).items() if count > 1]
        if doubled:
            raise ValueError(_twice(doubled[0], shard))
    said = {"shard": shard, "width": features.width}
    said |= {"keys": features.keys, "frames": features.frames}
    with written_durably(folder / f"{name}.json") as part:
        part.write_text(json.dumps(said) + "\n", encoding="utf-8")


def _read_index(path: pathlib.Path) -> dict[str, Any]:
    rows = path.with_suffix(".f16")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        expected = sum(said["frames"]) * said["width"] * _TYPE.itemsize
        whole = rows.stat().st_size == expected and len(said["keys"]) == len(said["frames"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ValueError(_damaged(path, str(error))) from None
    if not whole:
        raise ValueError(_damaged(path, f"{rows.name} has another size"))
    return said


def _damaged(path: pathlib.Path, why: str) -> str:
    return (
        f"Frame features are damaged: remove {path} and make them again, with "
        f"keras_t3d.transfer.write_frame_features or --cache-features. Received: {why}"
    )


def _twice(key: str, where: object) -> str:
    return (
        "Frame features are kept by a record's id, of which each must have its own; a record "
        "without one goes by its first frame. Train without --cache-features, or convert the "
        f"videos with `keras-t3d convert`. Received: {key!r} twice in {where}"
    )
