"""Groups records by the video they were cut from."""

from __future__ import annotations

import collections
import re
from collections.abc import Sequence

# Ids that `convert` gives to the records of a video that it cuts.
_CUT_ID = re.compile(r"(.+)#(0|[1-9][0-9]*)", re.DOTALL)


def group_records_by_video(record_ids: Sequence[str]) -> dict[str, list[int]]:
    """Groups records by video.

    Conversion cuts a long video into records with the ids `<video>#0`, `<video>#1` and so on. As
    other writers may use such ids too, they count as one video only if all numbers from 0 occur
    exactly once. Otherwise records with the same id are one video. A record without an id is a
    video of its own, named by its index, as `record 7`.

    Args:
        record_ids: one id per record; empty for a record without an id.

    Returns:
        Dict from video id to the indices of its records, in order of time. Videos are in the
        order of their first records.

    Example:

    ```python
    group_records_by_video(["a#1", "b", "a#0"])  # {"a": [2, 0], "b": [1]}
    ```
    """
    numbers: dict[str, list[int]] = collections.defaultdict(list)
    for record_id in record_ids:
        if match := _CUT_ID.fullmatch(record_id):
            numbers[match[1]].append(int(match[2]))
    cut = {
        video
        for video, found in numbers.items()
        if len(found) > 1 and sorted(found) == list(range(len(found)))
    }
    groups: dict[str, list[tuple[int, int]]] = collections.defaultdict(list)
    for index, record_id in enumerate(record_ids):
        match = _CUT_ID.fullmatch(record_id)
        if match and match[1] in cut:
            groups[match[1]].append((int(match[2]), index))
        else:
            groups[record_id or f"record {index}"].append((0, index))
    return {video: [index for _, index in sorted(group)] for video, group in groups.items()}
