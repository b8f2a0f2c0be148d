"""What the header of a video file states, which is often wrong."""

from __future__ import annotations

from typing import Any

import av
from av.format import Flags

from keras_t3d.data.video.frames import SAME_TIME, USUAL_FPS
from keras_t3d.data.video.streams import stated_seconds

_HIGHEST_FPS = 480.0  # some headers state the rate of the clock instead, 1000 or 90,000

_MOST_FRAMES = 2**29  # writers to pipes leave a number such as 2**30


class VideoHeader:
    """Length, size and start times that a file states, before any frame is decoded.

    Args:
        container: an open container of PyAV.
        stream: its video stream.

    Attributes:
        fps: mean frames per second; 0.0 if the file states none, or an implausible one.
        stated_frames: number of frames, with those that an edit list hides and, in AVI, those
            that a recorder dropped; 0 if not stated.
        first_frame_time: timestamp of the first frame in the file, in seconds. 0.0 if FFmpeg did
            not find it, until the reader does.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        rates = [float(rate or 0.0) for rate in (stream.average_rate, stream.guessed_rate)]
        if not self.states_times:  # the average is 25, whatever the stream states
            rates.reverse()
        self.fps = next((rate for rate in rates if 0 < rate <= _HIGHEST_FPS), 0.0)
        self.first_frame_time = float((stream.start_time or 0) * stream.time_base)
        self.stated_frames = stream.frames if stream.frames <= _MOST_FRAMES else 0

    @property
    def states_times(self) -> bool:
        """Whether the file states when frames are shown; a raw stream states a rate at most."""
        return not self._container.format.flags & Flags.no_timestamps.value

    @property
    def seconds(self) -> float | None:
        """Length in seconds; None if the file does not state it."""
        stream, container = self._stream, self._container
        if stream.duration is not None:
            return float(stream.duration * stream.time_base)
        return None if container.duration is None else container.duration / av.time_base

    @property
    def stated_end(self) -> float:
        """Seconds from the first frame to the end of the last one; 0.0 if not stated.

        FFmpeg shortens the duration of an AVI that is cut short, but not its number of frames,
        which counts ticks of its clock. The duration of a Matroska or FLV file is that of its
        longest stream.
        """
        if self._is_format("avi"):
            return float(self.stated_frames * self._stream.time_base)
        length = stated_seconds(self._stream)
        if self.may_be_trimmed:
            return length or 0.0
        if self._is_format("matroska", "flv"):
            of_file = (self._container.duration or 0) / av.time_base
            if length is None and len(self._container.streams) == 1:
                length = of_file
            return max(min(length or 0.0, of_file) - self.first_frame_time, 0.0)
        return self.stated_frames / self.fps if self.fps else 0.0

    def _is_format(self, *names: str) -> bool:
        return not set(names).isdisjoint(self._container.format.name.split(","))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels; 0 if the file does not state them."""
        return self._stream.height or 0, self._stream.width or 0

    @property
    def num_frames(self) -> int:
        """Number of frames; 0 if the file does not state it."""
        by_length = max(round((self.seconds or 0.0) * self.fps), 0)
        if self.may_be_trimmed and by_length:
            return min(self.stated_frames or by_length, by_length)
        if self._is_format("avi") and self.fps:
            return round(self.stated_end * self.fps)
        return self.stated_frames or by_length

    @property
    def gap(self) -> float:
        """Seconds between two frames; 0.04 if the file does not state it."""
        return 1 / (self.fps or USUAL_FPS)

    @property
    def clock_tolerance(self) -> float:
        """Largest difference of a frame's time from the true one, in seconds: files round times.

        Half a tick of its clock; times in ticks as long as a frame are exact.
        """
        tick = float(self._stream.time_base)
        return max(tick / 2, SAME_TIME) if tick < self.gap / 2 else SAME_TIME

    @property
    def has_sound(self) -> bool:
        """Whether the file holds sound, too."""
        return bool(self._container.streams.audio)

    @property
    def may_be_trimmed(self) -> bool:
        """Whether the format has edit lists, which can leave frames out."""
        return self._is_format("mp4")

    @property
    def knows_first_frame(self) -> bool:
        """Whether FFmpeg found the time of the first frame, without which no seek can be made."""
        return self._stream.start_time is not None

    @property
    def start_time(self) -> float:
        """Timestamp that players show as 0, in seconds: where picture or sound starts.

        Sound that starts below 0 only initializes its decoder.
        """
        start = self._container.start_time
        picture = self.first_frame_time
        return picture if start is None else min(picture, max(start / av.time_base, 0.0))
