"""Options of a window that slides over a video, each declared once."""

from __future__ import annotations

import dataclasses
import math

from keras_t3d.clips import crop_positions
from keras_t3d.errors import InvalidArgumentError, check_argument, check_integer
from keras_t3d.inference.smoothing import Smoothing


@dataclasses.dataclass(frozen=True)
class WindowOptions:
    """Where the windows over a video start, and how their probabilities are computed.

    Args:
        hop: seconds from the start of one window to the start of the next; half a window if
            neither `hop` nor `hop_frames` is given, or each step of a causal model. A window
            starts at the first frame (of every `frame_stride`-th) shown at or after each multiple
            of `hop`.
        hop_frames: the same as a number of frames, at least 1.
        smoothing: how to average over successive windows, MeanOfLast or Exponential; None
            leaves each window as it is.
        num_crops: crops of each window whose probabilities are averaged: 1, 3 or 5, see
            `keras_t3d.clips.crop_positions`.
        batch_size: windows per prediction. More than one is faster on a GPU, delays results, and
            takes hundreds of megabytes a window with large networks.

    Raises:
        InvalidArgumentError: if a value is out of its range, or both hops are given.

    Example:

    ```python
    WindowOptions(hop=0.5, smoothing=MeanOfLast(3))
    ```
    """

    hop: float | None = None
    hop_frames: int | None = None
    smoothing: Smoothing | None = None
    num_crops: int = 1
    batch_size: int = 1

    def __post_init__(self) -> None:
        if self.hop is not None and self.hop_frames is not None:
            raise InvalidArgumentError(
                "Give `hop` (seconds) or `hop_frames`, not both, for example hop=0.5. "
                f"Received: hop={self.hop}, hop_frames={self.hop_frames}",
                argument="hop",
            )
        is_valid = self.hop is None or (math.isfinite(self.hop) and self.hop > 0)
        check_argument("hop", self.hop, is_valid, "a number of seconds above 0, for example 0.5")
        if self.hop_frames is not None:
            check_integer("hop_frames", self.hop_frames, 1, 8)
        check_integer("batch_size", self.batch_size, 1, 4)
        crop_positions(self.num_crops, 1, 1)  # raises if there is no such number of crops
