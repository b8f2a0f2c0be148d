"""Folders of videos: `<split>/<class>/<video>`, or `<class>/<video>` split by hash."""

from __future__ import annotations

import os
import pathlib

from keras_t3d.data.sources.listing import SPLITS, Listing, Reject, VideoEntry, make_listing
from keras_t3d.data.sources.splitting import parse_group_regex, parse_split_ratio, split_by_hash
from keras_t3d.data.sources.video_files import checked_files


def list_folder(
    source: str | os.PathLike[str],
    split_ratio: str | None = None,
    group_regex: str | None = None,
) -> Listing:
    """Lists the videos below a folder.

    Args:
        source: folder of `train`, `val` and `test` folders that hold one folder a
            class each; or of class folders.
        split_ratio: str. Needed where there are no split folders; see
            `parse_split_ratio`. Defaults to `None`.
        group_regex: str. Keeps videos of one group in one split; see
            `split_by_hash`. Defaults to `None`.

    Returns:
        A Listing. Hidden files are left out; files without a video's suffix are
        rejects.

    Raises:
        ValueError: if the folder does not exist, holds no video or one class
            only, or its splits are neither given nor asked for.

    Example:

    ```python
    listing = list_folder("videos", split_ratio="0.8", group_regex=r"(.+)_clip\\d+")
    ```
    """
    root = pathlib.Path(source)
    if not root.is_dir():
        raise ValueError(f"--layout folder needs an existing folder of videos. Received: {root}")
    folders = _visible_folders(root)
    split_names = [folder.name for folder in folders if folder.name in SPLITS]
    if split_names and len(split_names) < len(folders):
        others = sorted({folder.name for folder in folders} - set(split_names))
        raise ValueError(
            f"A folder holds either splits ({', '.join(SPLITS)}) or classes, not both. "
            f"Received: {root} with splits {sorted(split_names)} beside {others[:5]}"
        )
    if split_names and (split_ratio or group_regex):
        raise ValueError(
            f"--split-ratio and --group-regex are for folders without splits. Received: {root} "
            f"with the splits {sorted(split_names)}"
        )
    if not split_names and folders and not split_ratio:
        raise ValueError(
            "Folders <class>/<video> say no splits: add --split-ratio, for example "
            "--split-ratio 0.8 for 80 % training and 20 % test videos (1 trains on all), "
            f"or sort them into train/<class>/ and test/<class>/. Received: {root}"
        )

    entries: list[VideoEntry] = []
    rejects: list[Reject] = []
    shares = parse_split_ratio(split_ratio) if split_ratio else (1.0, 0.0, 0.0)
    pattern = parse_group_regex(group_regex)
    class_folders = (
        [(label, split.name) for split in folders for label in _visible_folders(split)]
        if split_names
        else [(label, None) for label in folders]
    )
    for folder in (root, *(folders if split_names else ())):
        rejects += [
            Reject(path.relative_to(root).as_posix(), "list", "lies in no class folder")
            for path in _visible(folder)
            if not path.is_dir()
        ]
    for class_folder, named_split in class_folders:
        for name, wrong in checked_files(class_folder):
            path = class_folder / name
            below = path.relative_to(root).as_posix()
            if wrong is not None:
                rejects.append(Reject(below, "list", wrong))
                continue
            split = named_split or split_by_hash(path.name, shares, pattern)
            entries.append(VideoEntry(below, str(path), class_folder.name, split))
    return make_listing(root, entries, rejects)


def _visible_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
