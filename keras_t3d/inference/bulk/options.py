"""Options of predictions and embeddings of many videos, each declared once."""

from __future__ import annotations

import dataclasses
import math

import loky

from keras_t3d.errors import check_argument, check_integer


@dataclasses.dataclass(frozen=True)
class BulkOptions:
    """How many views of each video are computed, and how many at a time.

    Args:
        num_views: number of views of each video; None takes as many as cover it without gaps, at
            most 10.
        batch_size: views per prediction, of one video or of several; 8 by default.
        workers: number of decoding processes; 0 decodes in this process, where a video that
            crashes its decoder ends the work. By default one per core, and none for one video.
        time_limit: seconds without a new frame after which a video is unreadable.

    Raises:
        InvalidArgumentError: if a value is out of its range.

    Example:

    ```python
    BulkOptions(num_views=3, workers=8)
    ```
    """

    num_views: int | None = None
    batch_size: int = 8
    workers: int | None = None
    time_limit: float = 120.0

    def __post_init__(self) -> None:
        if self.num_views is not None:
            check_integer("num_views", self.num_views, 1, 5)
        check_integer("batch_size", self.batch_size, 1, 8)
        if self.workers is not None:
            check_integer("workers", self.workers, 0, 2)
        is_valid = math.isfinite(self.time_limit) and self.time_limit >= 1
        check_argument(
            "time_limit", self.time_limit, is_valid, "at least 1 second, for example 120"
        )

    def workers_for(self, num_videos: int) -> int:
        """Returns the number of decoding processes for so many videos."""
        if self.workers is not None:
            return self.workers
        return min(loky.cpu_count(), num_videos) if num_videos > 1 else 0
