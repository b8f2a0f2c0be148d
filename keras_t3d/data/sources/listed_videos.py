"""Collects the videos that a layout lists, and makes their Listing."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Hashable, Sequence

from keras_t3d.artifact_files import is_class_name
from keras_t3d.data.sources.listing import Listing, Reject, SourceError, VideoEntry, span_id
from keras_t3d.data.sources.options import SourceOptions
from keras_t3d.data.sources.splitting import group_of, splits_of_groups


class ListedVideos:
    """Collects the videos and the rejected files of a source, and returns their Listing.

    Args:
        source: folder of the videos, or a file beside which their paths start.
        options: SourceOptions.
    """

    def __init__(self, source: pathlib.Path, options: SourceOptions) -> None:
        self._source = source
        self._root = source.parent if source.is_file() else source
        self._options = options
        self._entries: dict[str, VideoEntry] = {}
        self._rejects: list[Reject] = []
        self._absent: list[str] = []
        self._keys: set[Hashable] = set()

    def add(
        self,
        path: str,
        label: str,
        split: str | None,
        start: float | None = None,
        end: float | None = None,
        *,
        video_id: str | None = None,
        group: str | None = None,
    ) -> None:
        """Adds a video or a span of one; one that is listed again is a reject.

        Args:
            path: path below the root.
            label: class name; empty if the source has no classes.
            split: `"train"`, `"val"` or `"test"`; None for what `split_ratio` demands.
            start: start of the span in seconds; None for the start of the video.
            end: end of the span in seconds; None for the end of the video.
            video_id: None makes it of path and span.
            group: for `split_ratio`; None or empty is the match of `group_regex`, or the path
                without its suffix.
        """
        video_id = video_id or span_id(path, start, end)
        if video_id in self._entries:
            where = f" in {split}" if split else ""
            self.reject(video_id, f"listed again, as {label!r}{where}")
            return
        if split is not None:
            group = None
        elif not group:
            group = group_of(path, self._options.group_regex)
        file = os.path.join(self._root, path)
        self._entries[video_id] = VideoEntry(video_id, file, label, split or "", start, end, group)

    def add_absent(self, name: str) -> None:
        """Adds a video that the dataset's official lists name, and that is not there."""
        self._absent.append(name)

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
            SourceError: if there is no video, only one class, a name is not one line of text, or
                two differ in capitals only.
        """
        if not self._entries:
            raise SourceError(f"{self._nothing_found(class_names)} Received: {self._source}")
        present = {entry.label for entry in self._entries.values()}
        if class_names is None:
            class_names = sorted(present)
        elif self._options.only_present_classes:
            class_names = [name for name in class_names if name in present]
        self._check_classes(class_names)
        return Listing(
            tuple(sorted(self._split_entries())),
            tuple(class_names),
            tuple(sorted(self._rejects, key=lambda reject: reject.source)),
            tuple(sorted(self._absent)),
        )

    def _split_entries(self) -> list[VideoEntry]:
        labels: dict[str, set[str]] = {}
        for entry in self._entries.values():
            if entry.group is not None:
                labels.setdefault(entry.group, set()).add(entry.label)
        splits = splits_of_groups(labels, self._options.split_ratio)
        return [
            entry if entry.group is None else dataclasses.replace(entry, split=splits[entry.group])
            for entry in self._entries.values()
        ]

    def _check_classes(self, class_names: Sequence[str]) -> None:
        if len(class_names) == 1:
            raise SourceError(
                "A classifier requires videos of at least 2 classes. "
                f"Received: only {class_names[0]!r} in {self._source}{self._left_out()}"
            )
        folded: dict[str, str] = {}
        for name in class_names:
            if not is_class_name(name):
                raise SourceError(
                    "A class name must be printable text in one line, for example 'brush hair'. "
                    f"Received: {name!r} in {self._source}"
                )
            other = folded.setdefault(name.casefold(), name)
            if other != name:
                raise SourceError(
                    "Class names must not differ in capitals only, as they would be two classes: "
                    f"rename one. Received: {other!r} and {name!r} in {self._source}"
                )

    def _nothing_found(self, class_names: Sequence[str] | None) -> str:
        if class_names:
            first = f"; the first, {self._absent[0]}: no such file" if self._absent else ""
            return (
                f"None of the {len(self._absent) + len(self._rejects)} listed videos was "
                f"found{first}. `source` must be the folder of the dataset's videos."
            )
        expected = (
            "Expected <split>/<class>/<video> or <class>/<video> below a folder, or a csv file "
            "with the columns path,label,split."
            if class_names is None
            else "`source` must be a folder of videos, at any depth."
        )
        return f"No videos found{self._left_out()}. {expected}"

    def _left_out(self) -> str:
        if not self._rejects:
            return ""
        first = min(self._rejects, key=lambda reject: reject.source)
        count = len(self._rejects) - 1
        others = f", and {count} other{'' if count == 1 else 's'}" if count else ""
        return f" (left out: {first.source}, {first.reason}{others})"
