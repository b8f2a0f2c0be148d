"""The dataset layouts and the options of listing a dataset, each declared once."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import typing
from collections.abc import Callable, Mapping
from typing import Literal

from keras_t3d.data.sources.listing import Listing
from keras_t3d.errors import InvalidArgumentError

# The registry: each name is a module of this package, whose LAYOUT is a DatasetLayout.
Layout = Literal[
    "folder",
    "csv",
    "segments",
    "unlabelled",
    "ucf101",
    "hmdb51",
    "jhmdb",
    "kinetics",
    "ssv2",
]
LAYOUTS: tuple[Layout, ...] = typing.get_args(Layout)


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    r"""Which videos a dataset has, and how they are split.

    Args:
        layout: folder: <split>/<class>/<video> or <class>/<video>; csv: columns path,label,split
            and optionally start,end in seconds; segments: lines "video_id start end label" in a
            text file; unlabelled: videos anywhere below a folder; the others: datasets as they
            are published.
        annotations: folder or file of the dataset's lists.
        split_id: number of the dataset's official split, 1 to 3.
        split_ratio: share of training videos (0.8), or of train:val:test (0.7:0.1:0.2), where the
            source names no splits. Each class is split so; a hash of each video's path below the
            source, without its suffix, decides.
        group_regex: regular expression for split_ratio. Videos whose paths below the source have
            the same first group (or whole match) stay in one split, for example '(.+)_clip\d+'
            or '(person\d+)/'.
        only_present_classes: leave out classes of the dataset's lists that have no video. Class
            ids then differ from the official ones.

    Raises:
        InvalidArgumentError: if a value is invalid.
    """

    layout: Layout = "folder"
    annotations: str | None = None
    split_id: int | None = None
    split_ratio: str | None = None
    group_regex: str | None = None
    only_present_classes: bool = False

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise InvalidArgumentError(
                f"`layout` must be one of {', '.join(LAYOUTS)}. Received: {self.layout!r}",
                argument="layout",
            )
        # Paths too, which are no str; the options must be JSON for other processes.
        if isinstance(self.annotations, os.PathLike):
            object.__setattr__(self, "annotations", os.fspath(self.annotations))
        if self.split_ratio is not None:
            parse_split_ratio(self.split_ratio)
        if self.group_regex is not None:
            try:
                re.compile(self.group_regex)
            except re.error as error:
                raise InvalidArgumentError(
                    "`group_regex` must be a regular expression whose first group (or whole match) "
                    r"names a group of videos, for example '(.+)_clip\d+'. "
                    f"Received: {self.group_regex!r} ({error})",
                    argument="group_regex",
                ) from None


@dataclasses.dataclass(frozen=True)
class DatasetLayout:
    """How a dataset layout lists its videos, and which of the SourceOptions it accepts.

    Args:
        list_videos: function from the source and the SourceOptions to a Listing.
        reads_folder: whether the source is a folder, which exists when `list_videos` is called.
        required: options that must be set, with an example value of each.
        optional: other options that may be set.
    """

    list_videos: Callable[[pathlib.Path, SourceOptions], Listing]
    required: Mapping[str, str] = dataclasses.field(default_factory=dict)
    optional: tuple[str, ...] = ()
    reads_folder: bool = True


def parse_split_ratio(ratio: str) -> tuple[float, float, float]:
    """Returns the shares of train, val and test that `"0.8"` or `"0.7:0.1:0.2"` states.

    Returns:
        Three shares that add up to 1; `"70:10:20"` is 0.7, 0.1, 0.2.

    Raises:
        InvalidArgumentError: if it is neither form.
    """
    try:
        shares = [float(part) for part in str(ratio).split(":")]
    except ValueError:
        shares = []
    if len(shares) == 1 and 0 < shares[0] <= 1:
        return shares[0], 0.0, 1.0 - shares[0]
    if len(shares) == 3 and min(shares) >= 0 and shares[0] > 0:
        total = sum(shares)
        return shares[0] / total, shares[1] / total, shares[2] / total
    raise InvalidArgumentError(
        "`split_ratio` must be the share of training videos, for example 0.8 (the others are test "
        f"videos), or three shares train:val:test, for example 0.7:0.1:0.2. Received: {ratio!r}",
        argument="split_ratio",
    )
