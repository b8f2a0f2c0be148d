"""Listings: the videos of a source, their labels and their splits."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Sequence

from keras_t3d.artifact_files import is_class_name
from keras_t3d.errors import KerasT3DError

SPLITS = ("train", "val", "test")

_SPELLINGS = {
    **{split: split for split in SPLITS},
    "training": "train",
    "validation": "val",
    "validate": "val",
    "valid": "val",
    "testing": "test",
}


class SourceError(KerasT3DError, ValueError):
    """The videos of a source cannot be listed; the message states why."""


@functools.total_ordering
@dataclasses.dataclass(frozen=True)
class VideoEntry:
    """One video of a dataset, or a span of one.

    Attributes:
        video_id: name that is unique in the dataset: the path below the source, followed by
            the span if there is one (see `span_id`).
        path: path of the file.
        label: class name; empty if the source has no classes.
        split: `"train"`, `"val"` or `"test"`.
        start: start of the span in seconds; None for the start of the video.
        end: end of the span in seconds; None for the end of the video.
    """

    video_id: str
    path: str
    label: str
    split: str
    start: float | None = None
    end: float | None = None

    def __lt__(self, other: VideoEntry) -> bool:
        return self._sort_key() < other._sort_key()

    def _sort_key(self) -> tuple[str, str, str, str, float, float]:
        start = -math.inf if self.start is None else self.start
        end = math.inf if self.end is None else self.end
        return self.video_id, self.path, self.label, self.split, start, end


def span_id(name: str, start: float | None, end: float | None) -> str:
    """Returns the id of a span of a video.

    Args:
        name: path of the video below the source.
        start: seconds; None for the start of the video.
        end: seconds; None for the end of the video.

    Returns:
        The name, followed by `@start-end` unless both are None.

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
    """A listed file without a record: which, at what stage it was rejected, and why."""

    source: str
    stage: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Listing:
    """All videos of a source, and its rejected files.

    Attributes:
        entries: the videos, sorted.
        class_names: class names in the order of their ids: sorted, unless the dataset numbers
            its classes. Empty if the source has no classes.
        rejects: files that cannot be videos, and annotations without a video.
    """

    entries: tuple[VideoEntry, ...]
    class_names: tuple[str, ...]
    rejects: tuple[Reject, ...] = ()

    @property
    def class_ids(self) -> dict[str, int]:
        """Class id of each label; -1 for the empty label of unlabelled videos."""
        return {"": -1, **{name: index for index, name in enumerate(self.class_names)}}


def make_listing(
    source: str | os.PathLike[str], entries: list[VideoEntry], rejects: list[Reject]
) -> Listing:
    """Returns a sorted Listing, checked for videos of at least two classes.

    Raises:
        SourceError: if there is no video, or only one class.
    """
    if not entries:
        raise SourceError(
            f"No videos found{_skipped(rejects)}. Expected <split>/<class>/<video> or "
            "<class>/<video> below a folder, or a csv file with the columns path,label,split. "
            f"Received: {os.fspath(source)}"
        )
    return _sorted_listing(source, entries, rejects, sorted({entry.label for entry in entries}))


def make_unlabelled_listing(
    source: str | os.PathLike[str], entries: list[VideoEntry], rejects: list[Reject]
) -> Listing:
    """Returns a sorted Listing of videos without labels.

    Raises:
        SourceError: if there is no video.
    """
    if not entries:
        raise SourceError(
            f"No videos found{_skipped(rejects)}. `source` must be a folder of videos, at any "
            f"depth. Received: {os.fspath(source)}"
        )
    return Listing(tuple(sorted(entries)), (), tuple(sorted(rejects, key=lambda r: r.source)))


def make_official_listing(
    source: str | os.PathLike[str],
    entries: list[VideoEntry],
    rejects: list[Reject],
    class_names: Sequence[str],
) -> Listing:
    """Returns a sorted Listing of a dataset whose lists name its videos and classes.

    All classes are kept, so that class ids do not depend on which videos are present.

    Args:
        source: the folder of videos.
        entries: listed videos that are present.
        rejects: listed videos that are missing.
        class_names: all classes of the dataset, in the order of their ids.

    Raises:
        SourceError: if no listed video is present, or there is only one class.
    """
    if not entries:
        first = f"; the first, {rejects[0].source}: {rejects[0].reason}" if rejects else ""
        raise SourceError(
            f"None of the {len(rejects)} listed videos was found{first}. `source` must be the "
            f"folder of the dataset's videos. Received: {os.fspath(source)}"
        )
    return _sorted_listing(source, entries, rejects, class_names)


def _skipped(rejects: list[Reject]) -> str:
    return f" ({len(rejects)} other files were skipped)" if rejects else ""


def _sorted_listing(
    source: str | os.PathLike[str],
    entries: list[VideoEntry],
    rejects: list[Reject],
    class_names: Sequence[str],
) -> Listing:
    if len(class_names) < 2:
        raise SourceError(
            "A classifier requires videos of at least 2 classes. "
            f"Received: only {class_names[0]!r} in {os.fspath(source)}"
        )
    for name in class_names:
        if not is_class_name(name):
            raise SourceError(
                "A class name must be printable text in one line, for example 'brush hair'. "
                f"Received: {name!r} in {os.fspath(source)}"
            )
    return Listing(
        tuple(sorted(entries)), tuple(class_names), tuple(sorted(rejects, key=lambda r: r.source))
    )


def parse_split(value: str | None, where: str) -> str:
    """Returns the split that a list names in any spelling (`validate` is `val`).

    Args:
        value: the name in the list.
        where: position in the list, for the error message.

    Raises:
        SourceError: if it is not the name of a split.
    """
    split = _SPELLINGS.get((value or "").strip().lower())
    if split is None:
        raise SourceError(
            f"A split must be one of {', '.join(SPLITS)}. Received: {value!r} in {where}"
        )
    return split
