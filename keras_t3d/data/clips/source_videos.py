"""Which source video a record's clips come from.

A record is a part of a video (`id#3`), a span of one (`id@1-2.5`), or a part of a span; a
record of another writer may have no id at all.
"""

from __future__ import annotations

import hashlib
import re

# As `span_id` and `write_video_records` end ids.
_SECONDS = r"[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?"
_RECORD = re.compile(rf"(.+?)(?:@{_SECONDS}-(?:{_SECONDS})?)?(?:#(?:0|[1-9][0-9]*))?", re.DOTALL)


def record_key(video_id: str, first_frame: bytes) -> str:
    """Returns what names a record: its id, or a hash of its first frame where it has none.

    Args:
        video_id: str. The record's id; empty where it has none.
        first_frame: bytes. Its first frame, as JPEG.

    Returns:
        The key. Records without ids that begin with the same bytes have the same one.

    Example:

    ```python
    record_key("run/a.mp4#1", frame)  # "run/a.mp4#1"
    record_key("", frame)  # "first frame 3b7e..."
    ```
    """
    return video_id or f"first frame {hashlib.sha256(first_frame).hexdigest()}"


def source_number(key: str) -> int:
    """Returns the number of a record's source video: the same for its parts and spans.

    Two videos have the same number by a chance of 1 in 2**31. An id that only looks like a
    part or a span, as another writer's `tape@1-2` may, is taken for one.

    Args:
        key: str. What `record_key` gave.

    Returns:
        int, 0 to 2**31 - 1, the same on every machine.

    Example:

    ```python
    source_number("a.mp4@1-2.5#0") == source_number("a.mp4@7-9")  # True
    source_number("a#1.mp4") == source_number("a#2.mp4")  # False
    ```
    """
    match = _RECORD.fullmatch(key)
    source = match[1] if match else key
    digest = hashlib.sha256(source.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big") >> 1
