"""Reads the split lists of HMDB51 and JHMDB: one file per class and split."""

from __future__ import annotations

import pathlib
import re

from keras_t3d.data.sources.annotation_files import (
    annotation_folder,
    official_split,
    read_lines,
)
from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import Listing, SourceError, class_name
from keras_t3d.data.sources.options import SourceOptions
from keras_t3d.data.sources.video_files import video_name, videos_by_class

_LIST_NAME = re.compile(r"(.+)_test_split([1-3])\.txt")
_SPLITS = {"1": "train", "2": "test"}
_UNUSED = "0"


def list_class_splits(source: pathlib.Path, options: SourceOptions) -> Listing:
    """Lists the videos that files `<class>_test_split{N}.txt` name, 1 for train, 2 for test.

    Args:
        source: folder of class folders, at any depth, with the `.avi` files or other encodings
            of them under the same name.
        options: SourceOptions. `annotations` is the folder of the lists, and of an optional
            `class_list.txt`.

    Returns:
        A Listing; classes are sorted. Videos numbered 0 are left out; listed videos that are
        missing are absent.

    Raises:
        InvalidArgumentError: if the annotations do not exist.
        SourceError: if a class has no list, a line is malformed, a video is listed twice, or no
            listed video is found.
    """
    split_id = official_split(options)
    lists = annotation_folder(options, f"<class>_test_split{split_id}.txt")
    class_names = _class_names(lists)

    found = videos_by_class(source)
    videos = ListedVideos(source, options)
    for label in class_names:
        list_path = lists / f"{label}_test_split{split_id}.txt"
        for line, text in read_lines(list_path):
            file_name, _, number = text.rpartition(" ")
            file_name, where = file_name.strip(), f"line {line} of {list_path}"
            if not file_name or number not in (_UNUSED, *_SPLITS):
                raise SourceError(
                    "A line must name a file and 0 (unused), 1 (train) or 2 (test), for example "
                    f"'sunset_wave_u_nm_np1_fr_med_0.avi 1'. Received: {text!r} in {where}"
                )
            videos.check_new((label, file_name), f"{file_name!r} again in {where}")
            if number != _UNUSED:
                path = found.get((label, video_name(file_name)))
                if path is None:
                    videos.add_absent(f"{label}/{file_name}")
                else:
                    videos.add(path, label, _SPLITS[number])
    return videos.listing(class_names)


def _class_names(lists: pathlib.Path) -> tuple[str, ...]:
    """Returns the classes of all three splits and of class_list.txt, sorted.

    Copies of class_list.txt differ in order, and many datasets lack it. Sorted, class ids do
    not depend on it, and are those of published checkpoints.
    """
    matches = (_LIST_NAME.fullmatch(class_name(path.name)) for path in lists.iterdir())
    names = {match[1] for match in matches if match}
    if not names:
        raise SourceError(
            "`annotations` must hold files <class>_test_split{1,2,3}.txt, for example "
            f"wave_test_split1.txt. Received: {lists}"
        )
    class_list = lists / "class_list.txt"
    if class_list.is_file():
        names |= {name for _, name in read_lines(class_list)}
    return tuple(sorted(names))
