"""Splits videos by a hash of their names, so that a split does not depend on other videos."""

from __future__ import annotations

import hashlib
import re

from keras_t3d.data.sources.listing import SPLITS
from keras_t3d.data.sources.options import SourceOptions, parse_split_ratio
from keras_t3d.errors import InvalidArgumentError


def hash_split(name: str, options: SourceOptions) -> str:
    """Returns the split of a video by `split_ratio` and `group_regex`.

    Args:
        name: file name of the video.
        options: SourceOptions. Without `split_ratio`, all videos are for training.

    Returns:
        `"train"`, `"val"` or `"test"`.

    Raises:
        InvalidArgumentError: if `group_regex` does not match the name.

    Example:

    ```python
    hash_split("1.mp4", SourceOptions(split_ratio="0.5"))  # "test"
    ```
    """
    if not options.split_ratio:
        return SPLITS[0]
    group = _group(name, options.group_regex) if options.group_regex else name
    digest = hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    train, val, _ = parse_split_ratio(options.split_ratio)
    if position < train:
        return SPLITS[0]
    return SPLITS[1] if position < train + val else SPLITS[2]


def _group(name: str, regex: str) -> str:
    match = re.search(regex, name)
    group = match and match[1 if match.re.groups else 0]
    if group is None:
        raise InvalidArgumentError(
            "`group_regex` must match the name of every video. "
            f"Received: {regex!r}, which does not match {name!r}",
            argument="group_regex",
        )
    return group
