"""What the header of a video file states, which is often wrong."""

from __future__ import annotations

from typing import Any

import av

_HIGHEST_FPS = 1000.0  # some headers state the rate of the clock instead


class VideoHeader:
    """Length, size and start times that a file states, before any frame is decoded.

    Args:
        container: an open container of PyAV.
        stream: its video stream.

    Attributes:
        fps: mean frames per second; 0.0 if the file does not state it.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        rate = float(stream.average_rate or 0.0)
        self.fps = rate if rate <= _HIGHEST_FPS else 0.0

    @property
    def seconds(self) -> float | None:
        """Length in seconds; None if the file does not state it."""
        stream, container = self._stream, self._container
        if stream.duration is not None:
            return float(stream.duration * stream.time_base)
        return None if container.duration is None else container.duration / av.time_base

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels; 0 if the file does not state them."""
        return self._stream.height or 0, self._stream.width or 0

    @property
    def num_frames(self) -> int:
        """Number of frames; 0 if the file does not state it."""
        by_length = max(round((self.seconds or 0.0) * self.fps), 0)
        if self.may_be_trimmed and by_length:
            return min(self._stream.frames or by_length, by_length)
        return self._stream.frames or by_length

    @property
    def has_sound(self) -> bool:
        """Whether the file holds sound, too."""
        return bool(self._container.streams.audio)

    @property
    def may_be_trimmed(self) -> bool:
        """Whether the format has edit lists, which can leave frames out."""
        return "mp4" in self._container.format.name.split(",")

    @property
    def first_frame_time(self) -> float:
        """Timestamp of the first frame in the file, in seconds."""
        return float((self._stream.start_time or 0) * self._stream.time_base)

    @property
    def start_time(self) -> float:
        """Timestamp that players show as 0, in seconds: where picture or sound starts.

        Sound that starts below 0 only initializes its decoder.
        """
        start = self._container.start_time
        picture = self.first_frame_time
        return picture if start is None else min(picture, max(start / av.time_base, 0.0))
