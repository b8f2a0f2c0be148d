"""Lists the videos of a dataset in any layout."""

from __future__ import annotations

import importlib
import os
import pathlib

from keras_t3d.data.sources.listing import Listing
from keras_t3d.data.sources.options import LAYOUTS, DatasetLayout, SourceOptions
from keras_t3d.errors import InvalidArgumentError

_LAYOUT_OPTIONS = ("annotations", "split_id", "split_ratio", "group_regex", "only_present_classes")


def load_layout(name: str) -> DatasetLayout:
    """Returns the DatasetLayout of a name in LAYOUTS."""
    return importlib.import_module(f"keras_t3d.data.sources.{name}").LAYOUT


def list_videos(source: str | os.PathLike[str], options: SourceOptions) -> Listing:
    """Lists the videos of a dataset, with labels and splits.

    Args:
        source: folder of videos, or the csv file of the layout `csv`.
        options: the layout and its options.

    Returns:
        A Listing.

    Raises:
        InvalidArgumentError: if there is no such source, or the layout does not accept one of the
            options, or requires one that is missing.
        SourceError: if the dataset cannot be listed.

    Example:

    ```python
    options = SourceOptions(layout="ucf101", annotations="ucfTrainTestlist", split_id=1)
    listing = list_videos("UCF-101", options)
    ```
    """
    layout = load_layout(options.layout)
    for name in _LAYOUT_OPTIONS:
        value = getattr(options, name)
        if value is not None and value is not False and not _accepts(layout, name):
            others = [other for other in LAYOUTS if _accepts(load_layout(other), name)]
            raise InvalidArgumentError(
                f"The layout {options.layout!r} does not accept `{name}`, which is for "
                f"{', '.join(others)}. Received: {value!r}",
                argument=name,
            )
    for name, example in layout.required.items():
        if getattr(options, name) is None:
            raise InvalidArgumentError(
                f"The layout {options.layout!r} requires `{name}`, for example "
                f"{example}. Received: None",
                argument=name,
            )
    source = pathlib.Path(source)
    if layout.reads_folder and not source.is_dir():
        is_list = source.is_file() and source.suffix.lower() in (".csv", ".tsv", ".txt")
        hint = "; a list of videos needs another `layout`, for example csv" if is_list else ""
        raise InvalidArgumentError(
            "`source` must be an existing folder of videos for the layout "
            f"{options.layout!r}{hint}. Received: {source}",
            argument="source",
        )
    return layout.list_videos(source, options)


def _accepts(layout: DatasetLayout, option: str) -> bool:
    return option in layout.required or option in layout.optional
