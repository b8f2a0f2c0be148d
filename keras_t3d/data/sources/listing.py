"""Listings: the videos of a source, their labels and their splits."""

from __future__ import annotations

import collections
import dataclasses
import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

from keras_t3d.errors import KerasT3DError, KerasT3DWarning

SPLITS = ("train", "val", "test")

_SPELLINGS = {
    **{split: split for split in SPLITS},
    "training": "train",
    "validation": "val",
    "validate": "val",
    "valid": "val",
    "testing": "test",
}


_SET = re.compile("[ _-]?(set|split|data|videos)$")


class DatasetWarning(KerasT3DWarning):
    """Videos are usable, but probably mislabelled or in the wrong split; the message says why."""


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
        group: videos of one group are in one split; None if the source names the splits.
    """

    video_id: str
    path: str
    label: str
    split: str
    start: float | None = None
    end: float | None = None
    group: str | None = None


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
            + (f" in {len(groups)} group{'' if len(groups) == 1 else 's'}" if groups else "")
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
        shared = self._shared_by_splits()
        if shared:
            first, count = shared[0], len(shared) - 1
            others = f", and {count} other{'' if count == 1 else 's'}" if count else ""
            texts.append(
                f"{first.video_id} in {first.split}{others}: the same frames are in another split"
            )
        return texts

    def _shared_by_splits(self) -> list[VideoEntry]:
        """Returns the entries that begin before one of the same file and another split ends."""
        per_file: dict[str, list[VideoEntry]] = {}
        for entry in self.entries:
            per_file.setdefault(entry.path, []).append(entry)
        shared = []
        for entries in per_file.values():
            ends: dict[str, float] = {}  # of what was seen, by split
            for entry in sorted(entries, key=lambda entry: entry.start or 0.0):
                others = [end for split, end in ends.items() if split != entry.split]
                if max(others, default=0.0) > (entry.start or 0.0):
                    shared.append(entry)
                end = math.inf if entry.end is None else entry.end
                ends[entry.split] = max(end, ends.get(entry.split, 0.0))
        return shared


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
            count = f"{len(missing)} class{'' if len(missing) == 1 else 'es'}"
            texts.append(f"No {split} videos of {count}: {', '.join(missing)}")
    return texts


def class_name(text: str) -> str:
    """Returns a class name in one Unicode form (NFC): file systems and lists have several."""
    return unicodedata.normalize("NFC", text.strip())


def split_of(name: str) -> str | None:
    """Returns the split that a folder or cell names in any spelling; None for other names.

    Example:

    ```python
    split_of("Validation")  # "val"
    split_of("test_set")  # "test"
    ```
    """
    return _SPELLINGS.get(_SET.sub("", name.strip().lower()))


def parse_split(value: str, where: str) -> str:
    """Returns the split that a list names in any spelling (`validate` is `val`).

    Args:
        value: the name in the list.
        where: position in the list, for the error message.

    Raises:
        SourceError: if it is not the name of a split.
    """
    split = split_of(value)
    if split is None:
        raise SourceError(
            f"A split must be one of {', '.join(SPLITS)}. Received: {value!r} in {where}"
        )
    return split
