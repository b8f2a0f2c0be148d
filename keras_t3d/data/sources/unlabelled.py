"""Videos without labels, anywhere below a folder."""

from __future__ import annotations

import os
import pathlib

from keras_t3d.data.sources.listing import (
    SPLITS,
    Listing,
    Reject,
    VideoEntry,
    make_unlabelled_listing,
)
from keras_t3d.data.sources.splitting import parse_group_regex, parse_split_ratio, split_by_hash
from keras_t3d.data.sources.video_files import checked_files, has_video_suffix


def list_unlabelled(
    source: str | os.PathLike[str],
    split_ratio: str | None = None,
    group_regex: str | None = None,
) -> Listing:
    """Lists the videos below a folder, at any depth.

    Args:
        source: folder. Where all folders and videos in it are folders named `train`, `val`
            and `test`, these are the splits.
        split_ratio: str. Splits by hash where there are no such folders; see
            `parse_split_ratio`. Defaults to `None`: all videos are for training.
        group_regex: str. With `split_ratio`: keeps videos of one group in one split; see
            `split_by_hash`. Defaults to `None`.

    Returns:
        A Listing without classes; the label of each video is empty. Hidden files are left
        out; files without a video's suffix are rejects.

    Raises:
        ValueError: if the folder does not exist or holds no video, or its splits are both
            given and asked for.

    Example:

    ```python
    listing = list_unlabelled("films", split_ratio="0.9:0.1:0")
    ```
    """
    root = pathlib.Path(source)
    if not root.is_dir():
        raise ValueError(
            f"--layout unlabelled needs an existing folder of videos. Received: {root}"
        )
    has_splits = _has_splits(root)
    if has_splits and (split_ratio or group_regex):
        raise ValueError(
            f"--split-ratio and --group-regex are for folders without splits. Received: {root}, "
            f"which holds nothing but {', '.join(SPLITS)}"
        )
    if group_regex and not split_ratio:
        raise ValueError(
            "--group-regex keeps videos together where they are split by hash: add --split-ratio, "
            f"for example --split-ratio 0.9. Received: --group-regex {group_regex}"
        )
    shares = parse_split_ratio(split_ratio) if split_ratio else (1.0, 0.0, 0.0)
    pattern = parse_group_regex(group_regex)
    entries: list[VideoEntry] = []
    rejects: list[Reject] = []
    for name, wrong in checked_files(root):
        folder, _, file_name = name.rpartition("/")
        if wrong is not None:
            rejects.append(Reject(name, "list", wrong))
            continue
        named = folder.partition("/")[0] if has_splits else None
        split = named or split_by_hash(file_name, shares, pattern)
        entries.append(VideoEntry(name, str(root / name), "", split))
    return make_unlabelled_listing(root, entries, rejects)


def _has_splits(root: pathlib.Path) -> bool:
    """Whether the folders in it are splits, and no video lies beside them."""
    folders = []
    for path in root.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            folders.append(path.name)
        elif has_video_suffix(path.name):
            return False
    return bool(folders) and set(folders) <= set(SPLITS)
