"""Finds the frames of a span of a video, with as little decoding as the file allows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import av

from keras_t3d.data.video.decoding import StreamDecoder, filled_packets, has_presentation_times
from keras_t3d.data.video.frames import STEP_BACK, presentation_times
from keras_t3d.data.video.header import VideoHeader

# Seconds before the span to seek to, one after the other, as the index of some files is off.
_EARLY = (2.0, 20.0, 200.0)
# Formats whose seeks find a time. In MPEG-TS, joined recordings hold the same time twice.
_INDEXED = {"mp4", "matroska", "avi", "flv", "asf"}
TimedFrames = Iterator[tuple[float, av.VideoFrame]]


@dataclasses.dataclass(frozen=True)
class Span:
    """The part of a video that is requested, in seconds from its first frame.

    Attributes:
        start: a frame shown before this time is left out; None starts with the video.
        end: a frame shown at this time or later is left out; None ends with the video.
    """

    start: float | None = None
    end: float | None = None

    def __str__(self) -> str:
        """For messages: empty for the whole video."""
        return "" if self.is_whole else f" from second {self.start or 0} to {self.end}"

    @property
    def is_whole(self) -> bool:
        return self.start is None and self.end is None

    @property
    def first(self) -> float:
        return -math.inf if self.is_whole else self.start or 0.0

    @property
    def last(self) -> float:
        return math.inf if self.end is None else self.end

    def holds(self, time: float, tolerance: float) -> bool:
        """Whether a frame shown at this time belongs to the span."""
        return self.first - tolerance <= time and not self.is_past(time, tolerance)

    def is_past(self, time: float, tolerance: float) -> bool:
        """Whether a frame shown at this time comes after the span."""
        return time >= self.last - tolerance


def can_seek(stream: Any, header: VideoHeader) -> bool:
    """Returns whether frames have times that a seek can be checked with.

    Where only decoding times are stored, frames that are reordered have none until all before
    them are read.
    """
    if not (header.states_times and header.knows_first_frame):
        return False
    return has_presentation_times(stream) or not stream.codec_context.has_b_frames


def has_index(container: Any) -> bool:
    """Returns whether the format says where in the file a time is."""
    return not _INDEXED.isdisjoint(container.format.name.split(","))


def seek_before(
    container: Any,
    stream: Any,
    header: VideoHeader,
    span: Span,
    is_requested: Callable[[av.Packet], bool],
) -> tuple[StreamDecoder, TimedFrames] | None:
    """Seeks to a key frame before a span, and checks that it is one.

    Args:
        container: an open container of PyAV.
        stream: its video stream.
        header: what the file states.
        span: the span, which begins after the video does.
        is_requested: as for StreamDecoder.

    Returns:
        A decoder and its frames with their times, in order, from before the span on; None if no
        seek led there. The file must then be opened again and read from its start.
    """
    for early in _EARLY:
        target = span.first - early
        if target <= 0:
            break
        try:
            offset = int((target + header.first_frame_time) / stream.time_base)
            container.seek(offset, stream=stream)
        except (av.FFmpegError, OSError, ValueError):
            break
        decoder = StreamDecoder(container, stream, is_requested)
        frames = frames_from_key(decoder, header, span)
        if frames is not None:
            return decoder, frames
    return None


def frames_from_key(decoder: StreamDecoder, header: VideoHeader, span: Span) -> TimedFrames | None:
    """Returns the frames after the first key frame with their times; None if the span has begun.

    Args:
        decoder: a decoder that begins in the middle of the file.
        header: what the file states.
        span: the span.
    """
    frames = presentation_times(decoder.frames(), header.first_frame_time, header.gap)
    for time, frame in frames:
        if time >= span.first - header.clock_tolerance:
            break
        if frame.key_frame:  # frames before it may be broken
            return frames
    return None


def packets_to_skip(container: Any, stream: Any, header: VideoHeader, span: Span) -> int:
    """Returns how many packets come before the key frame to decode a span from.

    It reads the file up to the span, without decoding it.

    Args:
        container: an open container of PyAV, at its start.
        stream: its video stream.
        header: what the file states.
        span: the span, which begins after the video does.

    Returns:
        Number of packets; 0 if the times of packets step back before the span.
    """
    key, latest = 0, -math.inf
    try:
        for index, packet in enumerate(filled_packets(container, stream)):
            if packet.dts is None:
                continue
            time = float(packet.dts * stream.time_base) - header.first_frame_time
            if time < latest - STEP_BACK:
                return 0
            if time >= span.first:
                break
            if packet.is_keyframe and time < span.first - _EARLY[0]:
                key = index
            latest = max(time, latest)
    except (av.FFmpegError, OSError, ValueError):
        return 0
    return key
