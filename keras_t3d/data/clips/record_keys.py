"""Keys of records, and numbers of the source videos that they are parts of.

A record is a part of a video (`id#3`), a span of one (`id@1-2.5`), or a part of a span. Records
of other writers may have no id.
"""

from __future__ import annotations

import hashlib
import re

from keras_t3d.data.shards.record import StoredVideo

# As `span_id` and `write_video_records` end ids.
_SECONDS = r"[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?"
_RECORD = re.compile(rf"(.+?)(?:@{_SECONDS}-(?:{_SECONDS})?)?(?:#(?:0|[1-9][0-9]*))?", re.DOTALL)


def record_key(video_id: str, first_frame: bytes) -> str:
    """Returns the key of a record: its id, or a hash of its first frame if it has none.

    Args:
        video_id: id of the record; empty for none.
        first_frame: its first frame as JPEG bytes.

    Returns:
        The key. Records without ids whose first frames are equal share a key.

    Example:

    ```python
    record_key("run/a.mp4#1", frame)  # "run/a.mp4#1"
    record_key("", frame)  # "first frame 3b7e..."
    ```
    """
    return video_id or f"first frame {hashlib.sha256(first_frame).hexdigest()}"


def video_key(video: StoredVideo) -> str:
    """Returns the key of a record's video, whose first frame is read only if it has no id."""
    return video.video_id or record_key("", video.frames[0])


def source_number(key: str) -> int:
    """Returns the number of a record's source video, the same for its parts and spans.

    Two videos have the same number with a probability of 1 in 2**31. An id that only looks like
    a part or a span, such as `tape@1-2` by another writer, is treated as one.

    Args:
        key: key of the record, from `record_key`.

    Returns:
        Integer from 0 to 2**31 - 1, the same on every machine.

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
