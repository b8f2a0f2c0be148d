"""Splits videos by a hash of their names, so that a split never depends on the others."""

from __future__ import annotations

import hashlib
import re

from keras_t3d.data.sources.listing import SPLITS

_RULE = (
    "--split-ratio must be the share of training videos, for example 0.8 (the rest is test), "
    "or three shares train:val:test, for example 0.7:0.1:0.2."
)


def parse_split_ratio(ratio: str) -> tuple[float, float, float]:
    """Reads a `--split-ratio`: `"0.8"`, or `"0.7:0.1:0.2"` (also `"70:10:20"`).

    Returns:
        Shares of train, val and test, adding up to 1.

    Raises:
        ValueError: if it is neither.
    """
    try:
        shares = [float(part) for part in str(ratio).split(":")]
    except ValueError:
        shares = []
    if len(shares) == 1 and 0 < shares[0] <= 1:
        return shares[0], 0.0, 1.0 - shares[0]
    if len(shares) == 3 and min(shares) >= 0 and shares[0] > 0:
        total = sum(shares)
        return shares[0] / total, shares[1] / total, shares[2] / total
    raise ValueError(f"{_RULE} Received: {ratio!r}")


def parse_group_regex(group_regex: str | None) -> re.Pattern[str] | None:
    """Compiles a `--group-regex`, with an error that names the option."""
    if group_regex is None:
        return None
    try:
        return re.compile(group_regex)
    except re.error as error:
        raise ValueError(
            "--group-regex must be a regular expression whose first group (or whole match) names "
            rf"a video's source, for example '(.+)_clip\d+'. Received: {group_regex!r} ({error})"
        ) from None


def split_by_hash(
    name: str, shares: tuple[float, float, float], group_regex: re.Pattern[str] | None = None
) -> str:
    """Returns the split of a video, decided by its name alone.

    Args:
        name: str. File name of the video.
        shares: shares of train, val and test.
        group_regex: compiled pattern, searched in the name; its first group (or
            the whole match) is hashed in place of the name, so that clips of one
            source stay on one side.

    Returns:
        `"train"`, `"val"` or `"test"`.

    Raises:
        ValueError: if the pattern does not match the name.
    """
    group = name if group_regex is None else _group(name, group_regex)
    digest = hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    train, val, _ = shares
    if position < train:
        return SPLITS[0]
    return SPLITS[1] if position < train + val else SPLITS[2]


def _group(name: str, group_regex: re.Pattern[str]) -> str:
    match = group_regex.search(name)
    group = match and match.group(1 if group_regex.groups else 0)
    if group is None:
        raise ValueError(
            "--group-regex must match the name of every video. "
            f"Received: {group_regex.pattern!r}, which does not match {name!r}"
        )
    return group
