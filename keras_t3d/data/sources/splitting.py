"""Splits videos where a source names no splits: by class, and whole by group."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import math
import os
import unicodedata
from collections.abc import Sequence

from keras_t3d.data.sources.listing import SPLITS, VideoEntry
from keras_t3d.data.sources.options import SourceOptions, parse_group_regex, parse_split_ratio
from keras_t3d.data.sources.video_files import without_video_suffixes
from keras_t3d.errors import InvalidArgumentError


def assign_splits(
    entries: Sequence[VideoEntry],
    files: Sequence[str],
    options: SourceOptions,
    groups: Sequence[str] | None = None,
) -> list[VideoEntry]:
    """Returns entries with the splits that `split_ratio` demands.

    Each class is split in this ratio, counted in groups, and has a group in every split if it
    has enough of them. A group stays in one split, in all classes that it has videos of. A hash
    of the group's name decides which one: most videos keep their split when others are added,
    and all when files are encoded anew under another suffix.

    Args:
        entries: videos or spans, of any split.
        files: the path of each one's file below the source, with `/`.
        options: SourceOptions. Without `split_ratio`, all videos are for training.
        groups: the group of each, as a list states it; None is the match of `group_regex`, or
            the file without its suffix.

    Raises:
        InvalidArgumentError: if `group_regex` does not match a file.
    """
    if groups is None:
        groups = [_group(file, options.group_regex) for file in files]
    labels: dict[str, set[str]] = collections.defaultdict(set)
    for entry, group in zip(entries, groups, strict=True):
        labels[group].add(entry.label)
    shares = parse_split_ratio(options.split_ratio) if options.split_ratio else (1.0, 0.0, 0.0)
    splits = _splits_of_groups(labels, shares)
    return [
        dataclasses.replace(entry, split=splits[group], group=group)
        for entry, group in zip(entries, groups, strict=True)
    ]


def _group(file: str, group_regex: str | None) -> str:
    if group_regex is None:
        return without_video_suffixes(unicodedata.normalize("NFC", file))
    pattern = parse_group_regex(group_regex)
    match = pattern.search(file)
    group = match and match.group(1 if pattern.groups else 0)
    if group is None:
        raise InvalidArgumentError(
            "`group_regex` must match the path of every video below the source. "
            f"Received: {group_regex!r}, which does not match {file!r}",
            argument="group_regex",
        )
    return group


def _splits_of_groups(
    labels: dict[str, set[str]], shares: tuple[float, float, float]
) -> dict[str, str]:
    """Returns the split of each group, given the classes that it has videos of.

    In the order of their hashes, groups fill the training videos of their classes, then the
    validation videos, then the test videos.
    """
    per_class = collections.Counter(label for group in labels.values() for label in group)
    room = {label: _counts(count, shares) for label, count in per_class.items()}
    splits = {}
    for group in sorted(labels, key=_position):
        free = [sum(room[label][split] > 0 for label in labels[group]) for split in range(3)]
        half = len(labels[group]) / 2
        fitting = (split for split in range(3) if free[split] >= half and free[split])
        chosen = next(fitting, free.index(max(free)))
        for label in labels[group]:
            room[label][chosen] -= 1
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
