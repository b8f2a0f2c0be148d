"""What shards hold: counts, frame sizes and lengths, and a sheet of pictures to look at."""

from __future__ import annotations

import collections
import dataclasses
import io
import itertools
import os
import pathlib
import random
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from keras_t3d.atomic import written_beside
from keras_t3d.data.shards.damage import check_local
from keras_t3d.data.shards.labels import check_label
from keras_t3d.data.shards.record import StoredVideo, stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.data.sources.listing import SPLITS
from keras_t3d.progress import Progress


@dataclasses.dataclass(frozen=True)
class Summary:
    """What the records of a shard set hold.

    Attributes:
        videos: dict from split to dict from class name to int, the number of videos. Those
            of shards without labels count under the empty name.
        frame_sizes: dict from (width, height) in pixels to int, the number of videos;
            the most frequent first.
        num_frames: int64 array of shape (videos,). Length of each video, in frames.
        seconds: float64 array of shape (videos of known rate,). Length of each video
            whose frame rate is known, in seconds.
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


_NO_CLASS = ""  # stands for the classes of shards without labels
_MOST_SIZES = 10
_BINS = 10
_BAR = 40  # characters


def summarize(shards: ShardSet, progress: Progress | None = None) -> Summary:
    """Reads every record of a shard set, without decoding its frames.

    Args:
        shards: ShardSet.
        progress: called with (videos done, videos in all). Defaults to `None`.

    Returns:
        A Summary.

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
        split: dict.fromkeys(shards.class_names or (_NO_CLASS,), 0)
        for split in dict.fromkeys((*SPLITS, *shards.splits))
    }
    paths = _shard_paths(shards)
    total = sum(shards.num_videos(split) for split in shards.splits)
    for split, path in paths:
        for video in _stored_videos(path, record_offsets(path)):
            videos[split][_class_name(shards, video, path)] += 1
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


def _shard_paths(shards: ShardSet) -> list[tuple[str, str]]:
    """Split and path of each shard that holds videos."""
    paths = [(split, path) for split in shards.splits for path in shards.paths(split)]
    check_local([path for _, path in paths], "Reading all records")
    return paths


def _stored_videos(path: str, offsets: Sequence[int] | np.ndarray) -> Iterator[StoredVideo]:
    with open(path, "rb") as file:
        for offset in offsets:
            data = read_record(file, int(offset))
            try:
                yield stored_video(data)
            except ValueError as error:
                raise ValueError(f"{error} Received: byte {offset} of {path}") from None


def _histogram(values: np.ndarray) -> list[tuple[str, int]]:
    """At most ten bins of one width from the least to the largest value, with their counts."""
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
    """A line each: name, bar, count. What is there at all has a bar."""
    name_width = max(len(name) for name, _ in counts)
    most = max(count for _, count in counts)
    return [
        f"  {name:>{name_width}} {'#' * -(-count * _BAR // most):<{_BAR}} {count}"
        for name, count in counts
    ]


# The contact sheet.

_TILE = 160  # pixels, longer side of a picture
_CAPTION = 28  # two lines
_HEADING = 24
_GAP = 8
_ID_LETTERS = 26  # of 7-point DejaVu Sans Mono beside each other in a tile


def contact_sheet(
    shards: ShardSet,
    path: str | os.PathLike[str],
    seed: int = 0,
    per_class: int = 6,
    most_classes: int = 20,
) -> int:
    """Draws a PNG of the middle frames of some videos, a row a class; one where there are none.

    Records are read at random places until each row is full, so that the sheet of a
    large set takes no longer than that of a small one, but for rare classes. Where no
    manifest says how many videos a class has, all records are read before.

    Args:
        shards: ShardSet.
        path: file to write, ending in `.png`.
        seed: int. Another seed shows other videos. Defaults to `0`.
        per_class: int. Videos in a row. Defaults to `6`.
        most_classes: int. The first classes that have videos are shown, up to this
            many; a line below says how many more there are. Defaults to `20`.

    Returns:
        The number of classes with videos that are not on the sheet.

    Raises:
        ValueError: if an argument is wrong, or a record or a picture is damaged.

    Example:

    ```python
    contact_sheet(ShardSet.open("shards"), "sheet.png")
    ```
    """
    path = pathlib.Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"--sheet must end in .png, for example sheet.png. Received: {path}")
    if per_class < 1 or most_classes < 1:
        raise ValueError(
            "per_class and most_classes must be at least 1. "
            f"Received: per_class {per_class}, most_classes {most_classes}"
        )
    counts = _videos_of_classes(shards)
    present = [name for name, count in counts.items() if count]
    if not present:
        raise ValueError(f"The shards hold no videos to show. Received: {shards.folder}")
    wanted = {name: min(counts[name], per_class) for name in present[:most_classes]}
    rows = _middle_frames(shards, wanted, random.Random(seed))
    with written_beside(path) as part:
        _draw(rows, per_class, len(present) - len(wanted), part)
    return len(present) - len(wanted)


def _videos_of_classes(shards: ShardSet) -> dict[str, int]:
    splits: list[dict[str, int]]
    if not shards.class_names:
        return {_NO_CLASS: sum(shards.num_videos(split) for split in shards.splits)}
    if shards.has_manifest:
        splits = [split["per_class"] for split in shards.manifest["splits"].values()]
    else:
        splits = list(summarize(shards).videos.values())
    return {name: sum(split[name] for split in splits) for name in shards.class_names}


def _middle_frames(
    shards: ShardSet, wanted: dict[str, int], chance: random.Random
) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Ids and middle frames of some videos of each class, by class."""
    rows: dict[str, list[tuple[str, np.ndarray]]] = {name: [] for name in wanted}
    missing = sum(wanted.values())
    paths = _shard_paths(shards)
    chance.shuffle(paths)
    for _, path in paths:
        offsets = record_offsets(path).tolist()
        chance.shuffle(offsets)
        for video in _stored_videos(path, offsets):
            if not missing:
                return rows
            name = _class_name(shards, video, path)
            if name in wanted and len(rows[name]) < wanted[name]:
                rows[name].append((video.video_id, _middle_frame(video, path)))
                missing -= 1
    if missing:
        raise ValueError(
            "The records hold fewer videos of a class than manifest.json says: convert the videos "
            f"again, or restore the file. Received: {shards.folder}"
        )
    return rows


def _class_name(shards: ShardSet, video: StoredVideo, path: str) -> str:
    if not shards.class_names:
        return _NO_CLASS
    check_label(shards, video, path)
    return shards.class_names[video.label_index]


def _middle_frame(video: StoredVideo, path: str) -> np.ndarray:
    """The frame as a picture of at most a tile's size: uint8, shape (height, width, 3)."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(video.frames[len(video.frames) // 2])) as image:
            picture = image.convert("RGB")
    except OSError as error:
        raise ValueError(
            f"A frame must be a JPEG picture ({error}). Received: {video.video_id!r} in {path}"
        ) from None
    picture.thumbnail((_TILE, _TILE))
    return np.asarray(picture)


def _draw(
    rows: dict[str, list[tuple[str, np.ndarray]]],
    columns: int,
    more_classes: int,
    path: pathlib.Path,
) -> None:
    from matplotlib.figure import Figure  # no pyplot: nothing global, no display

    pictures = [picture for row in rows.values() for _, picture in row]
    row_height = _HEADING + max(picture.shape[0] for picture in pictures) + _CAPTION
    height = _GAP + len(rows) * row_height + (_HEADING if more_classes else 0)
    width = _GAP + columns * (_TILE + _GAP)
    sheet = np.full((height, width, 3), 255, np.uint8)
    dpi = 100
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)

    def write(text: str, left: int, baseline: int, size: int, family: str) -> None:
        place = (left / width, 1 - baseline / height)
        # A label is text, also where it holds dollar signs, which Matplotlib reads as formulas.
        figure.text(*place, text, fontsize=size, family=family, parse_math=False, va="baseline")

    top = 0
    for name, row in rows.items():
        write(_printable(name) or "no labels", _GAP, top + _HEADING - 6, 10, "DejaVu Sans")
        for column, (video_id, picture) in enumerate(row):
            left = _GAP + column * (_TILE + _GAP)
            below = top + _HEADING + picture.shape[0]
            sheet[top + _HEADING : below, left : left + picture.shape[1]] = picture
            for line, text in enumerate(_caption(video_id)):
                write(text, left, below + 11 * (line + 1), 7, "DejaVu Sans Mono")
        top += row_height
    if more_classes:
        text = f"and {more_classes} more class{'es' if more_classes > 1 else ''}"
        write(text, _GAP, top + _HEADING - 6, 10, "DejaVu Sans")
    figure.figimage(sheet, origin="upper")
    with warnings.catch_warnings():
        # Its font lacks some scripts: a box stands there, which is seen.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(path, dpi=dpi, metadata={"Software": None})


def _caption(video_id: str) -> list[str]:
    """The id in at most two lines; of a longer one its end, which tells more."""
    text = _printable(video_id)
    if len(text) > 2 * _ID_LETTERS:
        text = "…" + text[-(2 * _ID_LETTERS - 1) :]
    return [text[start : start + _ID_LETTERS] for start in range(0, len(text), _ID_LETTERS)]


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
