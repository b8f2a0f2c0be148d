"""Layout `unlabelled`: videos without labels, anywhere below a folder."""

from __future__ import annotations

import pathlib

from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import SPLITS, Listing, split_of
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions
from keras_t3d.data.sources.video_files import checked_files, has_video_suffix
from keras_t3d.errors import InvalidArgumentError


def list_unlabelled(source: pathlib.Path, options: SourceOptions) -> Listing:
    """Lists the videos below a folder, at any depth.

    Args:
        source: folder. If it holds only folders named `train`, `val` and `test`, in any
            spelling that the layout `folder` reads, these are the splits.
        options: SourceOptions. Without split folders and `split_ratio`, all videos are for
            training.

    Returns:
        A Listing without classes; the label of each video is empty. Hidden files are left
        out; files without the suffix of a video are rejects.

    Raises:
        InvalidArgumentError: if the splits are given both by folders
            and `split_ratio`, or `group_regex` is given without `split_ratio`.
        SourceError: if the folder holds no video.
    """
    has_splits = _has_splits(source)
    if has_splits and (options.split_ratio or options.group_regex):
        raise InvalidArgumentError(
            f"`split_ratio` and `group_regex` are for folders without splits. Received: {source}, "
            f"which holds only {', '.join(SPLITS)}",
            argument="split_ratio",
        )
    if options.group_regex and not options.split_ratio:
        raise InvalidArgumentError(
            "`group_regex` requires `split_ratio`, for example 0.9. "
            f"Received: group_regex={options.group_regex!r}",
            argument="group_regex",
        )
    videos = ListedVideos(source, options)
    for name, wrong in checked_files(source):
        if wrong is not None:
            videos.reject(name, wrong)
        else:
            named = split_of(name.partition("/")[0]) if has_splits else None
            videos.add(name, "", named if has_splits or options.split_ratio else SPLITS[0])
    return videos.listing(())


def _has_splits(source: pathlib.Path) -> bool:
    """Returns whether all folders are splits, and there is no video beside them."""
    folders = []
    for path in source.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            folders.append(path.name)
        elif has_video_suffix(path.name):
            return False
    return bool(folders) and all(split_of(folder) for folder in folders)


LAYOUT = DatasetLayout(list_unlabelled, optional=("split_ratio", "group_regex"))
