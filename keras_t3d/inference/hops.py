"""How far apart the windows over a video begin."""

from __future__ import annotations

import math
from typing import Protocol

from keras_t3d.clips import ClipSpec
from keras_t3d.data.video.frames import SAME_TIME


class Hop(Protocol):
    """Decides, frame by frame, where windows begin.

    Attributes:
        grid: int. Every window begins at a multiple of this many frames.
    """

    grid: int

    def begins(self, index: int, start: float) -> bool:
        """Whether a window begins at this frame of the grid; asked once a frame, in order."""
        ...


class FrameHop:
    """A window every `frames` frames.

    Args:
        frames: int.
        spec: ClipSpec.
    """

    def __init__(self, frames: int, spec: ClipSpec) -> None:
        self.frames = frames
        # Frames off this grid are in no window: but for the first, they are not even converted.
        self.grid = math.gcd(frames, spec.frame_stride)

    def begins(self, index: int, start: float) -> bool:
        return index % self.frames == 0


class SecondsHop:
    """A window every `seconds`: at the first frame of the grid that is shown then or after.

    Args:
        seconds: float.
        spec: ClipSpec.
    """

    def __init__(self, seconds: float, spec: ClipSpec) -> None:
        self.seconds = seconds
        self.grid = spec.frame_stride
        self._next = 0.0

    def begins(self, index: int, start: float) -> bool:
        if start < self._next - SAME_TIME and index > 0:
            return False
        reached = start + SAME_TIME
        self._next = reached - math.fmod(reached, self.seconds) + self.seconds
        return True


def new_hop(spec: ClipSpec, hop: int | None, hop_seconds: float | None) -> Hop:
    """Returns the hop that was asked for; without one, half a window.

    Raises:
        ValueError: if both are given, or one is out of its range.
    """
    if hop is not None and hop_seconds is not None:
        raise ValueError(
            "Expected `hop` (frames) or `hop_seconds`, not both, for example hop_seconds=0.5. "
            f"Received: hop={hop}, hop_seconds={hop_seconds}"
        )
    check_hop_seconds(hop_seconds)
    if hop_seconds is not None:
        return SecondsHop(hop_seconds, spec)
    if hop is None:
        hop = max(spec.num_frames // 2, 1) * spec.frame_stride
    if int(hop) != hop or hop < 1:
        raise ValueError(
            "`hop` must be a whole number of frames of at least 1, for example 16; seconds are "
            f"`hop_seconds`. Received: {hop}"
        )
    return FrameHop(int(hop), spec)


def check_hop_seconds(hop_seconds: float | None) -> None:
    """Refuses what is no length of time."""
    if hop_seconds is not None and not (math.isfinite(hop_seconds) and hop_seconds > 0):
        raise ValueError(
            "The hop between windows must be a number of seconds above 0, for example 0.5. "
            f"Received: {hop_seconds}"
        )
