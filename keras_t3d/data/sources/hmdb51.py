"""Layout `hmdb51`: the class folders of HMDB51, with the official lists of three splits."""

from __future__ import annotations

import os

from keras_t3d.data.sources.class_split_lists import list_class_splits
from keras_t3d.data.sources.listing import Listing
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions


def list_hmdb51(source: str | os.PathLike[str], options: SourceOptions) -> Listing:
    """Lists the videos of an official split of HMDB51.

    Args:
        source: folder of class folders, at any depth, with the `.avi` files or other encodings
            of them under the same name.
        options: SourceOptions. `annotations` is the folder of
            `<class>_test_split{1,2,3}.txt`.

    Returns:
        A Listing; classes are sorted. Videos that the split does not use are left out;
        listed videos that are missing are absent.

    Raises:
        SourceError: if a list is missing or malformed, or no listed video is found.

    Reference:
        Kuehne et al., HMDB: A large video database for human motion recognition,
        ICCV 2011, https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/
    """
    return list_class_splits(source, options)


LAYOUT = DatasetLayout(
    list_hmdb51,
    required={"annotations": "testTrainMulti_7030_splits", "split_id": "1"},
    optional=("only_present_classes",),
)
