"""What every source gives: the videos, their labels and their splits."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Sequence

from keras_t3d.artifact_files import is_class_name

SPLITS = ("train", "val", "test")

_SPELLINGS = {
    **{split: split for split in SPLITS},
    "training": "train",
    "validation": "val",
    "validate": "val",
    "valid": "val",
    "testing": "test",
}


@functools.total_ordering
@dataclasses.dataclass(frozen=True)
class VideoEntry:
    """One video of a dataset, or a span of one.

    Attributes:
        video_id: str. Name that is unique in the dataset: its path below the source,
            and its span where it has one (see `span_id`).
        path: str. Where the file lies.
        label: str. Class name; empty where the source has no classes.
        split: str. `"train"`, `"val"` or `"test"`.
        start: float. Where the span begins, in seconds. Defaults to `None`, the
            beginning.
        end: float. Where the span ends, in seconds. Defaults to `None`, the end.
    """

    video_id: str
    path: str
    label: str
    split: str
    start: float | None = None
    end: float | None = None

    def __lt__(self, other: VideoEntry) -> bool:
        return self._place() < other._place()

    def _place(self) -> tuple[str, str, str, str, float, float]:
        start = -math.inf if self.start is None else self.start
        end = math.inf if self.end is None else self.end
        return self.video_id, self.path, self.label, self.split, start, end


def span_id(name: str, start: float | None, end: float | None) -> str:
    """Returns the id of a span of a video.

    Args:
        name: str. The video's path below the source.
        start: float, in seconds; `None` for the beginning.
        end: float, in seconds; `None` for the end.

    Returns:
        The name, with `@start-end` where there is a span.

    Example:

    ```python
    span_id("abseiling/0wR5.mp4", 417.0, 427.5)  # "abseiling/0wR5.mp4@417-427.5"
    ```
    """
    if start is None and end is None:
        return name
    return f"{name}@{_seconds(start or 0.0)}-{'' if end is None else _seconds(end)}"


def _seconds(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


@dataclasses.dataclass(frozen=True)
class Reject:
    """A listed file that gives no record: which, at what stage, and why."""

    source: str
    stage: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Listing:
    """All videos of a source, and the files it passed over.

    Attributes:
        entries: VideoEntry, sorted.
        class_names: str; a name's place is its class id. Sorted, but for datasets
            that number their classes, whose order is kept. Empty where the source has none.
        rejects: Reject. Files that cannot be videos, or rows that name none.
    """

    entries: tuple[VideoEntry, ...]
    class_names: tuple[str, ...]
    rejects: tuple[Reject, ...] = ()

    @property
    def class_ids(self) -> dict[str, int]:
        """The class id of each label: -1, which records have for none, of the empty one."""
        return {"": -1, **{name: index for index, name in enumerate(self.class_names)}}


def make_listing(
    source: str | os.PathLike[str], entries: list[VideoEntry], rejects: list[Reject]
) -> Listing:
    """Sorts what a source found and checks that it can train a classifier.

    Raises:
        ValueError: if there is no video, or only one class.
    """
    if not entries:
        passed_over = f" ({len(rejects)} other files were passed over)" if rejects else ""
        raise ValueError(
            f"No videos found{passed_over}. Expected <split>/<class>/<video> or <class>/<video> "
            "below a folder, or a csv file with the columns path,label,split. "
            f"Received: {os.fspath(source)}"
        )
    return _sorted_listing(source, entries, rejects, sorted({entry.label for entry in entries}))


def make_unlabelled_listing(
    source: str | os.PathLike[str], entries: list[VideoEntry], rejects: list[Reject]
) -> Listing:
    """Sorts what was found of videos without labels.

    Raises:
        ValueError: if there is no video.
    """
    if not entries:
        passed_over = f" ({len(rejects)} other files were passed over)" if rejects else ""
        raise ValueError(
            f"No videos found{passed_over}. SOURCE must be a folder that holds some, at any depth. "
            f"Received: {os.fspath(source)}"
        )
    return Listing(tuple(sorted(entries)), (), tuple(sorted(rejects, key=lambda r: r.source)))


def make_official_listing(
    source: str | os.PathLike[str],
    entries: list[VideoEntry],
    rejects: list[Reject],
    class_names: Sequence[str],
) -> Listing:
    """Sorts what was found of a dataset whose lists name its videos and classes.

    All its classes are kept, so that class ids are the same in every split and run,
    whichever videos are present.

    Args:
        source: the folder of videos.
        entries: listed videos that are present.
        rejects: listed videos that are not.
        class_names: str. All classes of the dataset, in the order of their ids.

    Raises:
        ValueError: if not one listed video is present, or there is only one class.
    """
    if not entries:
        first = f"; the first, {rejects[0].source}: {rejects[0].reason}" if rejects else ""
        raise ValueError(
            f"Not one of the {len(rejects)} listed videos was found{first}. SOURCE must be the "
            f"folder that holds the dataset's videos. Received: {os.fspath(source)}"
        )
    return _sorted_listing(source, entries, rejects, class_names)


def _sorted_listing(
    source: str | os.PathLike[str],
    entries: list[VideoEntry],
    rejects: list[Reject],
    class_names: Sequence[str],
) -> Listing:
    if len(class_names) < 2:
        raise ValueError(
            "A classifier needs videos of at least 2 classes. "
            f"Received: only {class_names[0]!r} in {os.fspath(source)}"
        )
    for name in class_names:
        if not is_class_name(name):
            raise ValueError(
                "A class name must be printable text in one line, for example 'brush hair'. "
                f"Received: {name!r} in {os.fspath(source)}"
            )
    return Listing(
        tuple(sorted(entries)), tuple(class_names), tuple(sorted(rejects, key=lambda r: r.source))
    )


def split_named(value: str | None, where: str) -> str:
    """Returns the split that a list names, whatever its spelling (`validate` is `val`).

    Args:
        value: str. What the list says.
        where: str. The place in the list, for the error.

    Raises:
        ValueError: if it is none.
    """
    split = _SPELLINGS.get((value or "").strip().lower())
    if split is None:
        raise ValueError(
            f"A split must be one of {', '.join(SPLITS)}. Received: {value!r} in {where}"
        )
    return split
