"""Which records are parts of one video."""

from __future__ import annotations

import collections
import re
from collections.abc import Sequence

# How `convert` names the parts of a video that it cut.
_PART = re.compile(r"(.+)#(0|[1-9][0-9]*)", re.DOTALL)


def records_by_video(record_ids: Sequence[str]) -> dict[str, list[int]]:
    """Groups records by the video they come from.

    Conversion cuts a long video into records with the ids `<video>#0`, `#1` and so on. Ids
    of that form are taken for parts where they are all there, each once; other writers may
    end their names so. Otherwise records of one id are one video, and a record without an
    id is a video of its own, named by its number, as `record 7`.

    Args:
        record_ids: str, one a record; empty where it has none.

    Returns:
        Dict from the video's id to the numbers of its records, in the order of the video.
        Videos stand in the order of their first records.

    Example:

    ```python
    records_by_video(["a#1", "b", "a#0"])  # {"a": [2, 0], "b": [1]}
    ```
    """
    numbered: dict[str, list[int]] = collections.defaultdict(list)
    for record_id in record_ids:
        if match := _PART.fullmatch(record_id):
            numbered[match[1]].append(int(match[2]))
    cut = {
        video
        for video, parts in numbered.items()
        if len(parts) > 1 and sorted(parts) == list(range(len(parts)))
    }
    found: dict[str, list[tuple[int, int]]] = collections.defaultdict(list)
    for number, record_id in enumerate(record_ids):
        match = _PART.fullmatch(record_id)
        if match and match[1] in cut:
            found[match[1]].append((int(match[2]), number))
        else:
            found[record_id or f"record {number}"].append((0, number))
    return {video: [number for _, number in sorted(parts)] for video, parts in found.items()}
