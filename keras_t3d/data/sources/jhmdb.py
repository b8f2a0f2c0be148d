"""JHMDB: class folders of videos, with the official lists of three splits."""

from __future__ import annotations

import os

from keras_t3d.data.sources.class_split_lists import list_class_splits
from keras_t3d.data.sources.listing import Listing


def list_jhmdb(
    source: str | os.PathLike[str], *, annotations: str | os.PathLike[str], split_id: int
) -> Listing:
    """Lists the videos of an official split of JHMDB.

    Args:
        source: folder of class folders, at any depth, with the `.avi` files or
            other encodings of them under the same name.
        annotations: folder of `<class>_test_split{1,2,3}.txt`.
        split_id: int, 1 to 3.

    Returns:
        A Listing; classes are sorted. Listed videos that are absent are rejects.

    Raises:
        ValueError: if a list is missing or cannot be read, or no listed video is found.

    Example:

    ```python
    listing = list_jhmdb("ReCompress_Videos", annotations="splits", split_id=1)
    ```

    Reference:
        Jhuang et al., Towards understanding action recognition, ICCV 2013,
        http://jhmdb.is.tue.mpg.de
    """
    return list_class_splits(source, annotations, split_id, "jhmdb")
