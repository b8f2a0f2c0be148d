"""Splits videos by a hash of their names, so that a split does not depend on other videos."""

from __future__ import annotations

import hashlib

from keras_t3d.data.sources.listing import SPLITS
from keras_t3d.data.sources.options import SourceOptions, parse_group_regex, parse_split_ratio
from keras_t3d.errors import InvalidArgumentError


class HashSplit:
    """Assigns videos to splits by `split_ratio` and `group_regex`.

    Args:
        options: SourceOptions. Without `split_ratio`, all videos are for training.

    Example:

    ```python
    split = HashSplit(SourceOptions(split_ratio="0.5"))
    split.of("0.mp4"), split.of("1.mp4")  # ("train", "test")
    ```
    """

    def __init__(self, options: SourceOptions) -> None:
        ratio, group_regex = options.split_ratio, options.group_regex
        self._shares = parse_split_ratio(ratio) if ratio else (1.0, 0.0, 0.0)
        self._group_regex = parse_group_regex(group_regex) if group_regex else None

    def of(self, name: str) -> str:
        """Returns the split of a video: `"train"`, `"val"` or `"test"`.

        Args:
            name: file name of the video.

        Raises:
            InvalidArgumentError: if `group_regex` does not match the name.
        """
        digest = hashlib.sha256(self._group(name).encode("utf-8", "surrogateescape")).digest()
        position = int.from_bytes(digest[:8], "big") / 2**64
        train, val, _ = self._shares
        if position < train:
            return SPLITS[0]
        return SPLITS[1] if position < train + val else SPLITS[2]

    def _group(self, name: str) -> str:
        pattern = self._group_regex
        if pattern is None:
            return name
        match = pattern.search(name)
        group = match and match.group(1 if pattern.groups else 0)
        if group is None:
            raise InvalidArgumentError(
                "`group_regex` must match the name of every video. "
                f"Received: {pattern.pattern!r}, which does not match {name!r}",
                argument="group_regex",
            )
        return group
