"""Listings: the videos of a source, their labels and their splits."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Hashable, Sequence

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


@dataclasses.dataclass(frozen=True, order=True)
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


class ListedVideos:
    """Collects the videos and the rejected files of a source, and returns their Listing.

    Args:
        source: folder of the videos, or a file beside which their paths start.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self._source = pathlib.Path(source)
        self._root = self._source.parent if self._source.is_file() else self._source
        self._entries: dict[str, VideoEntry] = {}
        self._rejects: list[Reject] = []
        self._keys: set[Hashable] = set()

    def add(
        self,
        path: str | None,
        label: str,
        split: str,
        start: float | None = None,
        end: float | None = None,
        *,
        listed: str,
    ) -> None:
        """Adds a video or a span of one; one that is missing or listed again is a reject.

        Args:
            path: path below the root; None if there is no such file.
            label: class name; empty if the source has no classes.
            split: `"train"`, `"val"` or `"test"`.
            start: start of the span in seconds; None for the start of the video.
            end: end of the span in seconds; None for the end of the video.
            listed: name by which a missing video is rejected.
        """
        if path is None:
            self.reject(listed, "no such file")
            return
        video_id = span_id(path, start, end)
        if video_id in self._entries:
            self.reject(video_id, f"listed again, as {label!r} in {split}")
            return
        entry = VideoEntry(video_id, str(self._root / path), label, split, start, end)
        self._entries[video_id] = entry

    def reject(self, name: str, reason: str) -> None:
        """Adds a file that cannot be a video, or a listed video that is not one."""
        self._rejects.append(Reject(name, "list", reason))

    def check_new(self, key: Hashable, where: str) -> None:
        """Raises a SourceError if the key was checked before; `where` names video and line."""
        if key in self._keys:
            raise SourceError(f"A video or span must be listed once. Received: {where}")
        self._keys.add(key)

    def listing(self, class_names: Sequence[str] | None = None) -> Listing:
        """Returns the sorted Listing.

        Args:
            class_names: all classes of the dataset, in the order of their ids, so that ids do not
                depend on which videos are present; empty for videos without labels. None takes
                the labels of the videos, sorted.

        Raises:
            SourceError: if there is no video, only one class, or a name is not one line of text.
        """
        if not self._entries:
            raise SourceError(f"{self._nothing_found(class_names)} Received: {self._source}")
        if class_names is None:
            class_names = sorted({entry.label for entry in self._entries.values()})
        if len(class_names) == 1:
            raise SourceError(
                "A classifier requires videos of at least 2 classes. "
                f"Received: only {class_names[0]!r} in {self._source}"
            )
        for name in class_names:
            if not is_class_name(name):
                raise SourceError(
                    "A class name must be printable text in one line, for example 'brush hair'. "
                    f"Received: {name!r} in {self._source}"
                )
        return Listing(
            tuple(sorted(self._entries.values())),
            tuple(class_names),
            tuple(sorted(self._rejects, key=lambda reject: reject.source)),
        )

    def _nothing_found(self, class_names: Sequence[str] | None) -> str:
        rejects = self._rejects
        if class_names:
            first = f"; the first, {rejects[0].source}: {rejects[0].reason}" if rejects else ""
            return (
                f"None of the {len(rejects)} listed videos was found{first}. `source` must be the "
                "folder of the dataset's videos."
            )
        skipped = f" ({len(rejects)} other files were skipped)" if rejects else ""
        expected = (
            "Expected <split>/<class>/<video> or <class>/<video> below a folder, or a csv file "
            "with the columns path,label,split."
            if class_names is None
            else "`source` must be a folder of videos, at any depth."
        )
        return f"No videos found{skipped}. {expected}"


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
