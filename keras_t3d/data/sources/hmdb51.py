"""HMDB51: class folders of videos, with the official lists of three splits."""

from __future__ import annotations

import os

from keras_t3d.data.sources.class_split_lists import list_class_splits
from keras_t3d.data.sources.listing import Listing


def list_hmdb51(
    source: str | os.PathLike[str], *, annotations: str | os.PathLike[str], split_id: int
) -> Listing:
    """Lists the videos of an official split of HMDB51.

    Args:
        source: folder of class folders, at any depth, with the `.avi` files or
            other encodings of them under the same name.
        annotations: folder of `<class>_test_split{1,2,3}.txt`.
        split_id: int, 1 to 3.

    Returns:
        A Listing; classes are sorted. Videos that the split does not use are left
        out, listed ones that are absent are rejects.

    Raises:
        ValueError: if a list is missing or cannot be read, or no listed video is found.

    Example:

    ```python
    listing = list_hmdb51("hmdb51", annotations="testTrainMulti_7030_splits", split_id=1)
    ```

    Reference:
        Kuehne et al., HMDB: A large video database for human motion recognition,
        ICCV 2011, https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/
    """
    return list_class_splits(source, annotations, split_id, "hmdb51")
