"""What every source gives: the videos, their labels and their splits."""

from __future__ import annotations

import dataclasses
import os

from keras_t3d.artifact_files import is_class_name

SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True, order=True)
class VideoEntry:
    """One video of a dataset.

    Attributes:
        video_id: str. Name that is unique in the dataset: its path below the source.
        path: str. Where the file lies.
        label: str. Class name.
        split: str. `"train"`, `"val"` or `"test"`.
    """

    video_id: str
    path: str
    label: str
    split: str


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
        class_names: str, sorted; a name's place is its class id.
        rejects: Reject. Files that cannot be videos, or rows that name none.
    """

    entries: tuple[VideoEntry, ...]
    class_names: tuple[str, ...]
    rejects: tuple[Reject, ...] = ()


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
    class_names = tuple(sorted({entry.label for entry in entries}))
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
        tuple(sorted(entries)), class_names, tuple(sorted(rejects, key=lambda r: r.source))
    )
