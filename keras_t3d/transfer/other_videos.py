"""Which clips of a batch, over all devices, are of other videos."""

from __future__ import annotations

from typing import Any

from keras import ops


def other_videos(videos: Any, all_videos: Any) -> Any:
    """Returns whether two clips are of different videos, both known.

    Args:
        videos: ints (batch,). Numbers of videos; -1 stands for none.
        all_videos: ints (all,). The same of the clips of all devices.

    Returns:
        bool of shape (batch, all).
    """
    differ = ops.not_equal(videos[:, None], all_videos[None, :])
    known = ops.logical_and((videos >= 0)[:, None], (all_videos >= 0)[None, :])
    return ops.logical_and(differ, known)


def own_places(videos: Any, start: Any) -> Any:
    """Returns where a device's clips stand among those of all: int32 (batch,)."""
    ones = ops.ones_like(videos, dtype="int32")
    return ops.cast(start, "int32") + ops.cumsum(ones) - 1


def next_other_videos(videos: Any, all_videos: Any, start: Any, count: int) -> tuple[Any, Any]:
    """Chooses for each clip the next ones in the batch that are of other videos.

    The batch is in random order, so the next one is as random as any; and the choice needs no
    random state, and is the same on any number of devices.

    Args:
        videos: ints (batch,). Numbers of videos; -1 stands for none.
        all_videos: ints (all,). The same of the clips of all devices.
        start: int scalar. Where the batch begins among all.
        count: int. How many to choose, at most all.

    Returns:
        int32 (batch, count), places among all, the nearest first; and bool (batch, count),
        false where there are no more clips of other videos.

    Example:

    ```python
    next_other_videos(videos := np.array([7, 7, 9]), videos, 0, 1)  # [[2], [2], [0]], all true
    ```
    """
    own = own_places(videos, start)
    places = own_places(all_videos, 0)
    size = ops.sum(ops.ones_like(places))
    distance = ops.mod(places[None, :] - own[:, None], size)
    usable = other_videos(videos, all_videos)
    order = ops.where(usable, distance, distance + size)
    chosen = ops.argsort(order, axis=1)[:, :count]
    return ops.cast(chosen, "int32"), ops.take_along_axis(usable, chosen, axis=1)
