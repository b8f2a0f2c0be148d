"""Features of single frames, which lie beside the shards that the frames come from.

```
FOLDER/teacher.json                      what computed them, and of what
FOLDER/train-00000-of-00004.npy          float16 (frames, features), one record after the other
FOLDER/train-00000-of-00004.json         {"keys": [...], "frames": [...]}: its records
```

The json file is written last: a shard that has one is whole.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_t3d.atomic import write_text, written_durably

DESCRIPTION = "teacher.json"


class FrameFeatures:
    """Looks up the features of frames by record.

    Made by `open`. Files are mapped into memory: what is read stays with the system's cache.

    Attributes:
        folder: pathlib.Path.
        width: int. Number of features.
    """

    def __init__(self, folder: pathlib.Path, splits: Sequence[str]) -> None:
        self.folder = folder
        self._places: dict[str, tuple[int, int, int]] = {}  # shard, first row, rows
        self._shards: list[np.ndarray] = []
        for index in sorted(p for s in splits for p in folder.glob(f"{s}-*.json")):
            said = json.loads(index.read_text(encoding="utf-8"))
            first = 0
            for key, frames in zip(said["keys"], said["frames"], strict=True):
                if key in self._places:
                    raise ValueError(
                        "Features are kept by a record's id, of which each must have its own. "
                        f"Received: {key!r} twice in {folder}"
                    )
                self._places[key] = (len(self._shards), first, frames)
                first += frames
            self._shards.append(np.load(index.with_suffix(".npy"), mmap_mode="r"))
        self.width = int(self._shards[0].shape[1])

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], splits: Sequence[str] = ("train", "val", "test")
    ) -> FrameFeatures:
        """Opens what `write_frame_features` wrote.

        Args:
            folder: what it returned.
            splits: which of the splits in it. Defaults to all.

        Raises:
            ValueError: if the folder holds no features of these splits.
        """
        folder = pathlib.Path(folder)
        if not any(path for split in splits for path in folder.glob(f"{split}-*.json")):
            raise ValueError(
                "Expected a folder of frame features, as keras_t3d.transfer.write_frame_features "
                f"makes it, with the splits {list(splits)}. Received: {folder}"
            )
        return cls(folder, splits)

    def mean(self, key: str, frames: np.ndarray) -> np.ndarray:
        """Returns the mean of the features of some frames of a record.

        Args:
            key: str. The record's, see `keras_t3d.data.source_videos.record_key`.
            frames: ints (frames,). Numbers of its frames; one may stand there more than once.

        Returns:
            float32 (width,).

        Raises:
            ValueError: if there is no such record, or no such frame.
        """
        shard, first, count = self._places.get(key, (-1, 0, 0))
        if frames.min() < 0 or frames.max() >= count:
            raise ValueError(
                "The frame features were made of other shards: make them again. "
                f"Received: frames up to {frames.max()} of the record {key!r}, of which "
                f"{self.folder} holds {count}"
            )
        rows = self._shards[shard][first + frames]
        return rows.astype(np.float32).mean(axis=0)


def is_written(folder: pathlib.Path, shard: str) -> bool:
    """Whether a shard's features are there."""
    return (folder / shard).with_suffix(".json").is_file()


def write_shard(
    folder: pathlib.Path, shard: str, keys: Sequence[str], features: Sequence[np.ndarray]
) -> None:
    """Writes the features of a shard's records.

    Args:
        folder: pathlib.Path.
        shard: str. Name of its file.
        keys: str, one a record.
        features: arrays (frames, width), one a record.

    Raises:
        ValueError: if two records have one key.
    """
    doubled = sorted(key for key, count in collections.Counter(keys).items() if count > 1)
    if doubled:
        raise ValueError(
            "Features are kept by a record's id, of which each must have its own. "
            f"Received: {doubled[:5]} twice in {shard}"
        )
    path = (folder / shard).with_suffix(".npy")
    with written_durably(path) as part, part.open("wb") as file:
        np.save(file, np.concatenate(features).astype(np.float16))
    index = {"keys": list(keys), "frames": [len(rows) for rows in features]}
    write_text(path.with_suffix(".json"), json.dumps(index) + "\n")
