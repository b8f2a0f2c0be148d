"""Finds negatives for each clip: clips of other videos in the batch, over all devices."""

from __future__ import annotations

from typing import Any

from keras import ops


def different_videos(videos: Any, all_videos: Any) -> Any:
    """Returns for all pairs of clips whether they are of different, known videos: (batch, all).

    The arguments are the video numbers of this device's clips and of all; -1 is unknown.
    """
    differ = ops.not_equal(videos[:, None], all_videos[None, :])
    known = ops.logical_and((videos >= 0)[:, None], (all_videos >= 0)[None, :])
    return ops.logical_and(differ, known)


def global_indices(videos: Any, start: Any) -> Any:
    """Returns the indices of a device's clips among all, whose first one is `start`: int32."""
    ones = ops.ones_like(videos, dtype="int32")
    return ops.cast(start, "int32") + ops.cumsum(ones) - 1


def select_negatives(videos: Any, all_videos: Any, start: Any, count: int) -> tuple[Any, Any]:
    """Selects for each clip the next `count` clips in the batch that are of other videos.

    As batches are in random order, this is as good as a random selection. It needs no random
    state, and does not depend on the number of devices.

    Returns:
        int32 tensor (batch, count), indices among all clips, nearest first; and bool tensor
        (batch, count), False where there are no more clips of other videos.

    Example:

    ```python
    videos = np.array([7, 7, 9])
    select_negatives(videos, videos, 0, 1)  # [[2], [2], [0]], all True
    ```
    """
    own = global_indices(videos, start)
    indices = global_indices(all_videos, 0)
    size = ops.sum(ops.ones_like(indices))
    distance = ops.mod(indices[None, :] - own[:, None], size)
    is_negative = different_videos(videos, all_videos)
    order = ops.where(is_negative, distance, distance + size)
    selected = ops.argsort(order, axis=1)[:, :count]
    return ops.cast(selected, "int32"), ops.take_along_axis(is_negative, selected, axis=1)
