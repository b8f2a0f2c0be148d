"""Layout `folder`: `<split>/<class>/<video>`, or `<class>/<video>` with `split_ratio`."""

from __future__ import annotations

import pathlib

from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import SPLITS, Listing, SourceError, class_name, split_of
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions
from keras_t3d.data.sources.video_files import checked_files
from keras_t3d.errors import InvalidArgumentError


def list_folder(source: pathlib.Path, options: SourceOptions) -> Listing:
    """Lists the videos below a folder.

    Args:
        source: folder of `train`, `val` and `test` folders (in any capitals, or `training`,
            `validation` and `testing`) that hold one folder per class; or of class folders.
        options: SourceOptions. `split_ratio` is required if there are no split folders.

    Returns:
        A Listing. Hidden files are left out; files without the suffix of a video are rejects.

    Raises:
        InvalidArgumentError: if the splits are neither given by folders nor by `split_ratio`, or
            by both.
        SourceError: if the folder holds no video, only one class, or classes beside splits.
    """
    folders = _visible_folders(source)
    split_names = [folder.name for folder in folders if split_of(folder.name)]
    if split_names and len(split_names) < len(folders):
        others = sorted({folder.name for folder in folders} - set(split_names))
        raise SourceError(
            f"A folder must hold splits ({', '.join(SPLITS)}) or classes, not both. "
            f"Received: {source} with the splits {sorted(split_names)} beside {others[:5]}"
        )
    if split_names and (options.split_ratio or options.group_regex):
        raise InvalidArgumentError(
            f"`split_ratio` and `group_regex` are for folders without splits. Received: {source} "
            f"with the splits {sorted(split_names)}",
            argument="split_ratio",
        )
    if not split_names and folders and not options.split_ratio:
        raise InvalidArgumentError(
            "Folders <class>/<video> have no splits: set `split_ratio`, for example to 0.8 for "
            "80 % training and 20 % test videos (1 trains on all), or sort them into "
            f"train/<class>/ and test/<class>/. Received: {source}",
            argument="split_ratio",
        )

    videos = ListedVideos(source, options)
    class_folders = (
        [(label, split_of(split.name)) for split in folders for label in _visible_folders(split)]
        if split_names
        else [(label, None) for label in folders]
    )
    for folder in (source, *(folders if split_names else ())):
        for path in _visible(folder):
            if not path.is_dir():
                videos.reject(path.relative_to(source).as_posix(), "not in a class folder")
    for class_folder, split in class_folders:
        for name, wrong in checked_files(class_folder):
            path = class_folder / name
            below = path.relative_to(source).as_posix()
            if wrong is not None:
                videos.reject(below, wrong)
            else:
                videos.add(below, class_name(class_folder.name), split)
    return videos.listing()


def _visible_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


LAYOUT = DatasetLayout(list_folder, optional=("split_ratio", "group_regex"))
