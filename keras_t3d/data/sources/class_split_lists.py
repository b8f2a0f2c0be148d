"""Reads the split lists of HMDB51 and JHMDB: one file per class and split."""

from __future__ import annotations

import os
import pathlib
import re

from keras_t3d.data.sources.annotation_files import (
    annotation_folder,
    official_split,
    read_lines,
    source_folder,
)
from keras_t3d.data.sources.listing import (
    Listing,
    SourceError,
    VideoEntry,
    class_name,
    make_official_listing,
)
from keras_t3d.data.sources.options import SourceOptions
from keras_t3d.data.sources.video_files import video_files, video_name

_LIST_NAME = re.compile(r"(.+)_test_split([1-3])\.txt")
_SPLITS = {"1": "train", "2": "test"}
_UNUSED = "0"


def list_class_splits(source: str | os.PathLike[str], options: SourceOptions) -> Listing:
    """Lists the videos that files `<class>_test_split{N}.txt` name, 1 for train, 2 for test.

    Args:
        source: folder of class folders, at any depth.
        options: SourceOptions. `annotations` is the folder of the lists, and of an optional
            `class_list.txt`.

    Returns:
        A Listing; classes are sorted. Videos numbered 0 are left out; listed videos that are
        missing are absent.

    Raises:
        InvalidArgumentError: if the folders do not exist.
        SourceError: if a class has no list, a line is malformed, a video is listed twice, or no
            listed video is found.
    """
    root = source_folder(source, options.layout)
    split_id = official_split(options)
    lists = annotation_folder(options, f"<class>_test_split{split_id}.txt")
    class_names = _class_names(lists)

    found: dict[tuple[str, str], str] = {}
    for path in video_files(root):
        folder = pathlib.PurePosixPath(path).parts[-2:-1]
        if folder:
            found.setdefault((class_name(folder[0]), video_name(path)), path)

    entries: list[VideoEntry] = []
    absent: list[str] = []
    for label in class_names:
        list_path = lists / f"{label}_test_split{split_id}.txt"
        seen: set[str] = set()
        for line, text in read_lines(list_path):
            file_name, _, number = text.rpartition(" ")
            file_name = file_name.strip()
            if not file_name or number not in (_UNUSED, *_SPLITS):
                raise SourceError(
                    "A line must name a file and 0 (unused), 1 (train) or 2 (test), for example "
                    f"'sunset_wave_u_nm_np1_fr_med_0.avi 1'. Received: {text!r} in line {line} of "
                    f"{list_path}"
                )
            if file_name in seen:
                raise SourceError(
                    "A split must list a video once. "
                    f"Received: {file_name!r} again in line {line} of {list_path}"
                )
            seen.add(file_name)
            if number == _UNUSED:
                continue
            path_found = found.get((label, video_name(file_name)))
            if path_found is None:
                absent.append(f"{label}/{file_name}")
            else:
                entry = VideoEntry(path_found, str(root / path_found), label, _SPLITS[number])
                entries.append(entry)
    return make_official_listing(
        root, entries, [], class_names, absent, only_present_classes=options.only_present_classes
    )


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
