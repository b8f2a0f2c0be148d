"""Short videos for the report, read from the shards."""

from __future__ import annotations

import io
import pathlib
import tempfile
from collections.abc import Iterable

import numpy as np
from PIL import Image

from keras_t3d.data.shards.damage import SplitRecords
from keras_t3d.data.shards.record import StoredVideo
from keras_t3d.evaluation.thumbnails import LONG_SIDE, read_records
from keras_t3d.inference.video_writer import open_video_writer

_SECONDS = 3.0
_MOST_FRAMES = 90
_USUAL_FPS = 25.0


def make_previews(records: SplitRecords, indices: Iterable[int]) -> dict[int, bytes]:
    """Returns mp4 files of the middle three seconds of some records; only these are decoded.

    A record of which a frame does not decode is left out.

    Args:
        records: see `keras_t3d.data.shards.damage.split_records`.
        indices: indices of records in the split, counted over its shards.
    """
    previews = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "preview.mp4"
        for index, video in read_records(records, indices):
            try:
                _write(video, path)
            except OSError:  # a damaged frame, which no scored view needs to hold
                continue
            previews[index] = path.read_bytes()
    return previews


def _write(video: StoredVideo, path: pathlib.Path) -> None:
    fps = video.fps or _USUAL_FPS
    count = min(len(video.frames), max(1, round(_SECONDS * fps)))
    first = (len(video.frames) - count) // 2
    chosen = np.unique(np.linspace(first, first + count - 1, min(count, _MOST_FRAMES)).astype(int))
    times = (chosen - first) / fps
    with open_video_writer(path) as writer:
        for number, start, end in zip(chosen, times, [*times[1:], count / fps], strict=True):
            with Image.open(io.BytesIO(video.frames[number])) as image:
                small = image.convert("RGB")
            small.thumbnail((LONG_SIDE, LONG_SIDE))
            writer.write(np.asarray(small), float(start), float(end))
