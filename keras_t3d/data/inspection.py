"""Statistics of shards: videos per class, frame sizes and lengths."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from keras_t3d.data.shards.damage import check_local
from keras_t3d.data.shards.errors import RecordError
from keras_t3d.data.shards.labels import check_label
from keras_t3d.data.shards.record import StoredVideo, stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.data.sources.listing import SPLITS
from keras_t3d.progress import Progress


@dataclasses.dataclass(frozen=True)
class Summary:
    """Statistics of the records of a shard set.

    Attributes:
        videos: number of videos by split and class name; without labels by the empty name.
        frame_sizes: number of videos by (width, height) in pixels, the most frequent first.
        num_frames: int64 (videos,). Length of each video in frames.
        seconds: float64 (videos of known frame rate,). Their lengths in seconds.
    """

    videos: dict[str, dict[str, int]]
    frame_sizes: dict[tuple[int, int], int]
    num_frames: np.ndarray
    seconds: np.ndarray

    def lines(self) -> list[str]:
        """Returns frame sizes and lengths as lines for a terminal."""
        shown = list(self.frame_sizes.items())[:_MOST_SIZES]
        sizes = [(f"{width}x{height}", count) for (width, height), count in shown]
        others = list(self.frame_sizes.values())[_MOST_SIZES:]
        if others:
            sizes.append((f"{len(others)} others", sum(others)))
        lines = ["frame size (width x height)", *_bars(sizes)]
        lines += ["", "length in frames", *_bars(_histogram(self.num_frames))]
        if self.seconds.size:
            lines += ["", "length in seconds", *_bars(_histogram(self.seconds))]
        unknown = self.num_frames.size - self.seconds.size
        if unknown:
            lines += ["", f"videos of unknown frame rate: {unknown}"]
        return lines


NO_CLASS = ""  # class name in shards without labels
_MOST_SIZES = 10
_BINS = 10
_BAR = 40  # characters


def summarize(shards: ShardSet, progress: Progress | None = None) -> Summary:
    """Reads every record of a shard set, without decoding its frames.

    Args:
        shards: shards to read.
        progress: called with (videos done, videos in total).

    Raises:
        ValueError: if a record is damaged, or its label is not that of labels.txt; the
            message names its shard.

    Example:

    ```python
    summary = summarize(ShardSet.open("shards"))
    print("\\n".join(summary.lines()))
    ```
    """
    sizes: collections.Counter[tuple[int, int]] = collections.Counter()
    num_frames: list[int] = []
    seconds: list[float] = []
    videos = {
        split: dict.fromkeys(shards.class_names or (NO_CLASS,), 0)
        for split in dict.fromkeys((*SPLITS, *shards.splits))
    }
    paths = shard_paths(shards)
    total = sum(shards.num_videos(split) for split in shards.splits)
    for split, path in paths:
        for video in stored_videos(path, record_offsets(path)):
            videos[split][class_name(shards, video, path)] += 1
            sizes[video.width, video.height] += 1
            num_frames.append(len(video.frames))
            if video.fps > 0:
                seconds.append(len(video.frames) / video.fps)
            if progress is not None:
                progress(len(num_frames), total)
    return Summary(
        videos=videos,
        frame_sizes=dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))),
        num_frames=np.array(num_frames, np.int64),
        seconds=np.array(seconds, np.float64),
    )


def shard_paths(shards: ShardSet) -> list[tuple[str, str]]:
    """Returns split and path of each shard that holds videos."""
    paths = [(split, path) for split in shards.splits for path in shards.paths(split)]
    check_local([path for _, path in paths], "Reading all records")
    return paths


def stored_videos(path: str, offsets: Sequence[int] | np.ndarray) -> Iterator[StoredVideo]:
    """Yields the records of a shard at these offsets, in bytes."""
    with open(path, "rb") as file:
        for offset in offsets:
            data = read_record(file, int(offset))
            try:
                yield stored_video(data)
            except ValueError as error:
                raise RecordError(f"{error} Received: byte {offset} of {path}") from None


def class_name(shards: ShardSet, video: StoredVideo, path: str) -> str:
    """Returns the class name of a record; raises a ValueError if its label is wrong."""
    if not shards.class_names:
        return NO_CLASS
    check_label(shards, video, path)
    return shards.class_names[video.label_index]


def _histogram(values: np.ndarray) -> list[tuple[str, int]]:
    """Returns at most ten bins of equal width from the least to the largest value, with counts."""
    low, high = float(values.min()), float(values.max())
    edges: np.ndarray
    if values.dtype.kind == "i":
        step = max(1, -(-int(high - low + 1) // _BINS))
        edges = np.arange(int(low), int(high) + step + 1, step)
        names = [f"{a}" if step == 1 else f"{a}-{a + step - 1}" for a in edges[:-1]]
    else:
        edges = np.linspace(low, high, (_BINS if high > low else 1) + 1)
        names = [f"{a:.2f}-{b:.2f}" for a, b in itertools.pairwise(edges)]
    counts, _ = np.histogram(values, edges)
    return [(name, int(count)) for name, count in zip(names, counts, strict=True)]


def _bars(counts: list[tuple[str, int]]) -> list[str]:
    """Returns lines of name, bar and count; every count above 0 has a bar."""
    name_width = max(len(name) for name, _ in counts)
    most = max(count for _, count in counts)
    return [
        f"  {name:>{name_width}} {'#' * -(-count * _BAR // most):<{_BAR}} {count}"
        for name, count in counts
    ]
