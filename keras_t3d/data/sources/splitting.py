"""Splits videos where a source names no splits: by class, and whole by group."""

from __future__ import annotations

import collections
import hashlib
import math
import os
import re
import unicodedata

from keras_t3d.data.sources.listing import SPLITS
from keras_t3d.data.sources.options import parse_split_ratio
from keras_t3d.data.sources.video_files import without_video_suffixes
from keras_t3d.errors import InvalidArgumentError


def group_of(path: str, group_regex: str | None) -> str:
    """Returns the group of a video: what `group_regex` matches, or its path without suffix.

    Args:
        path: path of the video below the source, with `/`.
        group_regex: None, or a regular expression; its first group counts, or the whole match.

    Raises:
        InvalidArgumentError: if `group_regex` does not match the path.
    """
    path = unicodedata.normalize("NFC", path)
    if group_regex is None:
        return without_video_suffixes(path)
    match = re.search(group_regex, path)
    group = match and match[1 if match.re.groups else 0]
    if group is None:
        raise InvalidArgumentError(
            "`group_regex` must match the path of every video below the source. "
            f"Received: {group_regex!r}, which does not match {path!r}",
            argument="group_regex",
        )
    return group


def splits_of_groups(labels: dict[str, set[str]], split_ratio: str | None) -> dict[str, str]:
    """Returns the split of each group of videos.

    Each class is split in this ratio, counted in groups, and has a group in every split if it
    has enough of them. A group stays in one split, in all classes that it has videos of. A hash
    of the group's name decides which one: most keep their split when others are added. In the
    order of these hashes, groups fill the training videos of their classes, then the validation
    videos, then the test videos.

    Args:
        labels: the classes that each group has videos of.
        split_ratio: see SourceOptions. None is training videos only.

    Example:

    ```python
    splits_of_groups({"a/1": {"a"}, "a/2": {"a"}}, "0.5")  # {"a/1": "test", "a/2": "train"}
    ```
    """
    shares = parse_split_ratio(split_ratio) if split_ratio else (1.0, 0.0, 0.0)
    per_class = collections.Counter(label for group in labels.values() for label in group)
    remaining = {label: _counts(count, shares) for label, count in per_class.items()}
    splits = {}
    for group in sorted(labels, key=_position):
        available = [
            sum(remaining[label][split] > 0 for label in labels[group]) for split in range(3)
        ]
        half = len(labels[group]) / 2
        fitting = (split for split in range(3) if available[split] >= half and available[split])
        chosen = next(fitting, available.index(max(available)))
        for label in labels[group]:
            remaining[label][chosen] -= 1
        splits[group] = SPLITS[chosen]
    return splits


def _counts(total: int, shares: tuple[float, float, float]) -> list[int]:
    """Returns how many of so many groups each split has: at least one, if there are enough."""
    counts = [math.floor(total * share) for share in shares]
    remainders = [total * share - count for share, count in zip(shares, counts, strict=True)]
    for split in sorted(range(3), key=lambda split: -remainders[split])[: total - sum(counts)]:
        counts[split] += 1
    for split in range(3):
        most = counts.index(max(counts))
        if shares[split] > 0 and counts[split] == 0 and counts[most] > 1:
            counts[most] -= 1
            counts[split] = 1
    return counts


def _position(group: str) -> bytes:
    return hashlib.sha256(os.fsencode(group)).digest()
