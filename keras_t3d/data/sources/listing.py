"""Listings: the videos of a source, their labels and their splits."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import os
import unicodedata
from collections.abc import Collection, Mapping, Sequence

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


class DatasetWarning(UserWarning):
    """Videos that can be used, but probably not as meant; the message states why."""


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
        group: videos of one group are in one split; None if the source names the splits.
    """

    video_id: str
    path: str
    label: str
    split: str
    start: float | None = None
    end: float | None = None
    group: str | None = None

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
        rejects: files that cannot be videos, and annotations that are contradicted.
        absent: videos that the dataset's official lists name, and that are not there.
    """

    entries: tuple[VideoEntry, ...]
    class_names: tuple[str, ...]
    rejects: tuple[Reject, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def class_ids(self) -> dict[str, int]:
        """Class id of each label; -1 for the empty label of unlabelled videos."""
        return {"": -1, **{name: index for index, name in enumerate(self.class_names)}}

    def summary(self) -> str:
        """Returns one line: how many videos, classes and groups were found."""
        splits = collections.Counter(entry.split for entry in self.entries)
        counts = ", ".join(f"{splits[split]} {split}" for split in SPLITS if splits[split])
        groups = {entry.group for entry in self.entries} - {None}
        return (
            f"Found {len(self.entries)} videos"
            + (f" of {len(self.class_names)} classes" if self.class_names else "")
            + (f" in {len(groups)} groups" if groups else "")
            + f": {counts}"
            + (f"; {len(self.absent)} that the lists name are absent" if self.absent else "")
        )

    def warnings(self) -> list[str]:
        """Returns what is probably not as meant: splits and classes without videos, one group."""
        found: dict[str, set[str]] = {}
        for entry in self.entries:
            found.setdefault(entry.split, set()).add(entry.label)
        present = set().union(*found.values())
        missing = [name for name in self.class_names if name not in present]
        texts = []
        if missing:
            texts.append(
                f"{len(missing)} of {len(self.class_names)} classes have no video "
                f"(`only_present_classes` leaves them out): {', '.join(missing)}"
            )
        if "train" not in found:
            texts.append("No videos are for training")
        kept = [name for name in self.class_names if name in present]
        texts += missing_classes({split: found[split] for split in SPLITS if split in found}, kept)
        groups = {entry.group for entry in self.entries}
        if len(groups) == 1 and groups != {None} and len(self.entries) > 1:
            texts.append(f"All {len(self.entries)} videos are one group: {groups.pop()!r}")
        return texts


def missing_classes(found: Mapping[str, Collection[str]], class_names: Sequence[str]) -> list[str]:
    """Returns a warning for each split without videos of some classes.

    Args:
        found: names of the classes that have videos, by split.
        class_names: all classes.
    """
    texts = []
    for split, names in found.items():
        missing = [name for name in class_names if name not in names]
        if missing:
            texts.append(f"No {split} videos of {len(missing)} classes: {', '.join(missing)}")
    return texts


def make_listing(
    source: str | os.PathLike[str], entries: list[VideoEntry], rejects: list[Reject]
) -> Listing:
    """Returns a sorted Listing, checked for videos of at least two classes.

    Raises:
        SourceError: if there is no video, only one class, or two classes whose names differ only
            in capitals.
    """
    if not entries:
        raise SourceError(
            f"No videos found{_first_of(rejects)}. Expected <split>/<class>/<video> or "
            "<class>/<video> below a folder, or a csv file with the columns path,label,split. "
            f"Received: {os.fspath(source)}"
        )
    class_names = sorted({entry.label for entry in entries})
    _check_classes(source, class_names, rejects)
    return _sorted_listing(entries, rejects, class_names)


def make_unlabelled_listing(
    source: str | os.PathLike[str], entries: list[VideoEntry], rejects: list[Reject]
) -> Listing:
    """Returns a sorted Listing of videos without labels.

    Raises:
        SourceError: if there is no video.
    """
    if not entries:
        raise SourceError(
            f"No videos found{_first_of(rejects)}. `source` must be a folder of videos, at any "
            f"depth. Received: {os.fspath(source)}"
        )
    return _sorted_listing(entries, rejects, ())


def make_official_listing(
    source: str | os.PathLike[str],
    entries: list[VideoEntry],
    rejects: list[Reject],
    class_names: Sequence[str],
    absent: Sequence[str],
    *,
    only_present_classes: bool,
) -> Listing:
    """Returns a sorted Listing of a dataset whose lists name its videos and classes.

    Args:
        source: the folder of videos.
        entries: listed videos that are present.
        rejects: listed videos that cannot be used.
        class_names: all classes of the dataset, in the order of their ids.
        absent: listed videos that are not there.
        only_present_classes: whether to leave out classes without a video. Class ids then depend
            on which videos are present.

    Raises:
        SourceError: if no listed video is present, or there is only one class.
    """
    if not entries:
        first = f"; the first, {absent[0]}: no such file" if absent else _first_of(rejects)
        raise SourceError(
            f"None of the {len(absent) + len(rejects)} listed videos was found{first}. `source` "
            f"must be the folder of the dataset's videos. Received: {os.fspath(source)}"
        )
    if only_present_classes:
        present = {entry.label for entry in entries}
        class_names = [name for name in class_names if name in present]
    _check_classes(source, class_names, rejects)
    listing = _sorted_listing(entries, rejects, class_names)
    return dataclasses.replace(listing, absent=tuple(sorted(absent)))


def _first_of(rejects: Sequence[Reject]) -> str:
    if not rejects:
        return ""
    first = min(rejects, key=lambda reject: reject.source)
    others = f" and {len(rejects) - 1} others" if len(rejects) > 1 else ""
    return f" (left out: {first.source}, {first.reason}{others})"


def _check_classes(
    source: str | os.PathLike[str], class_names: Sequence[str], rejects: Sequence[Reject]
) -> None:
    if len(class_names) < 2:
        raise SourceError(
            "A classifier requires videos of at least 2 classes. "
            f"Received: only {class_names[0]!r} in {os.fspath(source)}{_first_of(rejects)}"
        )
    folded: dict[str, str] = {}
    for name in class_names:
        if not is_class_name(name):
            raise SourceError(
                "A class name must be printable text in one line, for example 'brush hair'. "
                f"Received: {name!r} in {os.fspath(source)}"
            )
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            raise SourceError(
                "Class names must not differ in capitals only, as they would be two classes: "
                f"rename one. Received: {other!r} and {name!r} in {os.fspath(source)}"
            )


def _sorted_listing(
    entries: list[VideoEntry], rejects: list[Reject], class_names: Sequence[str]
) -> Listing:
    ordered = sorted(rejects, key=lambda reject: reject.source)
    return Listing(tuple(sorted(entries)), tuple(class_names), tuple(ordered))


def class_name(text: str) -> str:
    """Returns a class name in one Unicode form (NFC): file systems and lists have several."""
    return unicodedata.normalize("NFC", text.strip())


def split_of(name: str) -> str | None:
    """Returns the split that a folder or cell names in any spelling; None for other names.

    Example:

    ```python
    split_of("Validation")  # "val"
    ```
    """
    return _SPELLINGS.get(name.strip().lower())


def parse_split(value: str | None, where: str) -> str:
    """Returns the split that a list names in any spelling (`validate` is `val`).

    Args:
        value: the name in the list.
        where: position in the list, for the error message.

    Raises:
        SourceError: if it is not the name of a split.
    """
    split = split_of(value or "")
    if split is None:
        raise SourceError(
            f"A split must be one of {', '.join(SPLITS)}. Received: {value!r} in {where}"
        )
    return split
