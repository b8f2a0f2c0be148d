"""Layout `jhmdb`: the class folders of JHMDB, with the official lists of three splits."""

from __future__ import annotations

import os

from keras_t3d.data.sources.class_split_lists import list_class_splits
from keras_t3d.data.sources.listing import Listing
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions


def list_jhmdb(source: str | os.PathLike[str], options: SourceOptions) -> Listing:
    """Lists the videos of an official split of JHMDB.

    Args:
        source: folder of class folders, at any depth, with the `.avi` files or other encodings
            of them under the same name.
        options: SourceOptions. `annotations` is the folder of
            `<class>_test_split{1,2,3}.txt`.

    Returns:
        A Listing; classes are sorted. Listed videos that are missing are absent.

    Raises:
        SourceError: if a list is missing or malformed, or no listed video is found.

    Reference:
        Jhuang et al., Towards understanding action recognition, ICCV 2013,
        http://jhmdb.is.tue.mpg.de
    """
    return list_class_splits(source, options)


LAYOUT = DatasetLayout(
    list_jhmdb,
    required={"annotations": "splits", "split_id": "1"},
    optional=("only_present_classes",),
)
