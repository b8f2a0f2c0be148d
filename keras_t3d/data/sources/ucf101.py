"""Layout `ucf101`: the class folders of UCF101, with the official lists of three splits."""

from __future__ import annotations

import pathlib

from keras_t3d.data.sources.annotation_files import (
    annotation_folder,
    official_split,
    read_lines,
)
from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import Listing, SourceError
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions
from keras_t3d.data.sources.video_files import video_name, videos_by_class

_LISTS = {"train": "trainlist0{}.txt", "test": "testlist0{}.txt"}


def list_ucf101(source: pathlib.Path, options: SourceOptions) -> Listing:
    """Lists the videos of an official split of UCF101.

    Args:
        source: folder of class folders, at any depth, with the `.avi` files or other encodings
            of them under the same name.
        options: SourceOptions. `annotations` is the folder of `classInd.txt`, `trainlist0N.txt`
            and `testlist0N.txt`.

    Returns:
        A Listing; class ids are those of `classInd.txt`. Listed videos that are missing are
        absent.

    Raises:
        InvalidArgumentError: if the annotations do not exist, or `split_id` is not 1 to 3.
        SourceError: if a list is missing or contradicts `classInd.txt`, or no listed video is
            found.

    Reference:
        Soomro et al., UCF101: A dataset of 101 human actions classes from videos in
        the wild, 2012, https://www.crcv.ucf.edu/data/UCF101.php
    """
    split_id = official_split(options)
    lists = annotation_folder(options, "classInd.txt and trainlist01.txt")
    class_names = _class_names(lists / "classInd.txt")
    canonical = {name.casefold(): name for name in class_names}

    # Lists and files differ in capitals: HandstandPushups, v_HandStandPushups_g01_c01.
    found: dict[tuple[str, str], str] = {}
    for (folder, stem), path in videos_by_class(source).items():
        found.setdefault((folder.casefold(), stem.casefold()), path)

    videos = ListedVideos(source, options)
    for split, list_name in _LISTS.items():
        list_path = lists / list_name.format(split_id)
        for line, text in read_lines(list_path):
            where = f"line {line} of {list_path}"
            listed, _, class_id = text.partition(" ")  # test lists have no class ids
            folder_name, _, file_name = listed.rpartition("/")
            label = canonical.get(folder_name.casefold())
            if label is None or class_id.strip() not in ("", str(class_names.index(label) + 1)):
                raise SourceError(
                    "A line must name a class of classInd.txt and its number, for example "
                    f"'Archery/v_Archery_g01_c01.avi 3'. Received: {text!r} in {where}"
                )
            key = (folder_name.casefold(), video_name(file_name).casefold())
            videos.check_new(key, f"{listed!r} again in {where}")
            if key in found:
                videos.add(found[key], label, split)
            else:
                videos.add_absent(listed)
    return videos.listing(class_names)


def _class_names(path: pathlib.Path) -> tuple[str, ...]:
    names: list[str] = []
    for line, text in read_lines(path):
        number, _, name = text.partition(" ")
        if number != str(len(names) + 1) or not name.strip():
            raise SourceError(
                "classInd.txt must number the classes from 1, for example '1 ApplyEyeMakeup'. "
                f"Received: {text!r} in line {line} of {path}"
            )
        names.append(name.strip())
    if len({name.casefold() for name in names}) < len(names):
        raise SourceError(f"classInd.txt must name each class once. Received: {path}")
    return tuple(names)


LAYOUT = DatasetLayout(
    list_ucf101,
    required={"annotations": "ucfTrainTestlist", "split_id": "1"},
    optional=("only_present_classes",),
)
