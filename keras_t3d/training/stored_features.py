"""Outputs of frozen stages for some views of every video, as files.

```
FOLDER/train.f16   float16, little endian, (views, videos, *shape)
FOLDER/train.npy   class ids (videos,)
FOLDER/train.json  {"source": ..., "shape": [views, videos, ...]}
```

The JSON file is written last: features that have one are complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_t3d.atomic import written_durably
from keras_t3d.errors import InvalidArgumentError, KerasT3DError

_TYPE = np.dtype("<f2")
_GIGABYTE = 1e9


class StoredFeaturesError(KerasT3DError, ValueError):
    """Features are too large for float16."""


@dataclasses.dataclass(frozen=True)
class StoredFeatures:
    """Features of views of videos.

    Attributes:
        values: float16 (views, videos, *shape).
        labels: int64 (videos,), the class ids.
    """

    values: np.ndarray
    labels: np.ndarray


def open_features(folder: pathlib.Path, split: str, source: Any) -> StoredFeatures | None:
    """Opens stored features; returns None if there are none of this source.

    Args:
        folder: where they are stored.
        split: name of the files.
        source: what they were computed from, as given to `new_features`.
    """
    try:
        facts = json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if facts["source"] != source:
        return None
    values = np.memmap(folder / f"{split}.f16", _TYPE, "r", shape=tuple(facts["shape"]))
    return StoredFeatures(values, np.load(folder / f"{split}.npy"))


@contextlib.contextmanager
def new_features(
    folder: pathlib.Path, split: str, source: Any, shape: Sequence[int]
) -> Iterator[StoredFeatures]:
    """Opens new features to write to; `open_features` finds them when the block has ended.

    Args:
        folder: where to store them; made if need be.
        split: name of the files.
        source: what the features are computed from, as JSON holds it.
        shape: (views, videos, ...) of all features.

    Raises:
        InvalidArgumentError: if the disk has too little space.
        StoredFeaturesError: if a feature is too large for float16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{split}.json").unlink(missing_ok=True)
    _check_space(folder, math.prod(shape) * _TYPE.itemsize)
    with written_durably(folder / f"{split}.f16") as part:
        values = np.memmap(part, _TYPE, "w+", shape=tuple(shape))
        labels = np.zeros(shape[1], np.int64)
        with np.errstate(over="ignore"):  # checked below
            yield StoredFeatures(values, labels)
        for video in range(shape[1]):
            if not np.isfinite(values[:, video]).all():
                raise StoredFeaturesError(
                    "Outputs of frozen stages are stored as float16, whose largest number is "
                    "65504: train with `stored_views` 0, or freeze fewer stages. "
                    f"Received: larger ones for video {video} of the split {split!r}"
                )
        values.flush()
    with written_durably(folder / f"{split}.npy") as part, part.open("wb") as file:
        np.save(file, labels)
    with written_durably(folder / f"{split}.json") as part:
        part.write_text(json.dumps({"source": source, "shape": list(shape)}) + "\n", "utf-8")


def _check_space(folder: pathlib.Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InvalidArgumentError(
            f"`stored_views` must leave space on the disk: the outputs of the frozen stages take "
            f"{needed / _GIGABYTE:.1f} GB in {folder}, where {free / _GIGABYTE:.1f} GB are free. "
            "Use fewer views, freeze more stages, or 0 to compute them at every step",
            argument="stored_views",
        )
