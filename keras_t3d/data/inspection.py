"""Statistics of shards: videos per class, frame sizes and lengths."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from keras_t3d.data.shards.cut_videos import group_records_by_video
from keras_t3d.data.shards.damage import check_local
from keras_t3d.data.shards.errors import RecordError
from keras_t3d.data.shards.labels import check_label
from keras_t3d.data.shards.record import StoredVideo, stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.data.sources.listing import SPLITS, DatasetWarning, missing_classes
from keras_t3d.progress import Progress


@dataclasses.dataclass(frozen=True)
class Summary:
    """Statistics of the records of a shard set.

    Attributes:
        videos: number of videos by split and class name; without labels by the empty name. The
            records of a cut video are one video, here and below.
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
        progress: called with (records done, records in total).

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
    done = 0
    videos = {
        split: dict.fromkeys(shards.class_names or (NO_CLASS,), 0)
        for split in dict.fromkeys((*SPLITS, *shards.splits))
    }
    total = sum(shards.num_videos(split) for split in shards.splits)
    for split, paths in itertools.groupby(shard_paths(shards), key=lambda item: item[0]):
        records = []
        for _, path in paths:
            for record in stored_videos(path, record_offsets(path)):
                records.append(_RecordFacts.of(record, class_name(shards, record, path)))
                done += 1
                if progress is not None:
                    progress(done, total)
        for indices in group_records_by_video([record.video_id for record in records]).values():
            parts = [records[index] for index in indices]
            videos[split][parts[0].label] += 1
            sizes[parts[0].frame_size] += 1
            num_frames.append(sum(part.num_frames for part in parts))
            if all(part.seconds for part in parts):
                seconds.append(sum(part.seconds for part in parts))
    return Summary(
        videos=videos,
        frame_sizes=dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))),
        num_frames=np.array(num_frames, np.int64),
        seconds=np.array(seconds, np.float64),
    )


def warn_of_missing_classes(shards: ShardSet, splits: Sequence[str]) -> None:
    """Warns by name of the classes that have no videos in a split.

    Args:
        shards: shards that `convert` wrote.
        splits: splits to check, which hold videos.
    """
    counts = {split: shards.manifest["splits"][split]["per_class"] for split in splits}
    found = {split: [name for name in counts[split] if counts[split][name]] for split in splits}
    for text in missing_classes(found, shards.class_names):
        warnings.warn(text, DatasetWarning, stacklevel=3)


@dataclasses.dataclass(frozen=True)
class _RecordFacts:
    """What is kept of a record, without its frames; `seconds` is 0 where the rate is unknown."""

    video_id: str
    label: str
    frame_size: tuple[int, int]
    num_frames: int
    seconds: float

    @classmethod
    def of(cls, record: StoredVideo, label: str) -> _RecordFacts:
        length = len(record.frames)
        seconds = length / record.fps if record.fps > 0 else 0.0
        return cls(record.video_id, label, (record.width, record.height), length, seconds)


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
