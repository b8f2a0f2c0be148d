"""Decodes video files frame by frame, in display order."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import warnings
from collections.abc import Callable, Collection, Iterator

import av
import numpy as np

from keras_t3d.data.video.decoding import StreamDecoder, open_video, reason
from keras_t3d.data.video.errors import DamagedVideoWarning, VideoError
from keras_t3d.data.video.frames import (
    SAME_TIME,
    USUAL_FPS,
    TimedFrame,
    frame_pixels,
    pixel_aspect,
    shown_times,
)
from keras_t3d.data.video.header import VideoHeader

_ROUNDED = 0.5  # seconds: annotations may round up the end of a video by this much


@dataclasses.dataclass(frozen=True)
class Video:
    """A decoded video.

    Attributes:
        frames: uint8 array of shape (frames, height, width, 3), RGB, upright.
        fps: mean frames per second; 0.0 if the file does not state it.
        damage: what was left out because it does not decode, why decoding stopped before the
            end of the file, or by how much the frames fall short of the header or the
            requested span; None if the video is complete.
    """

    frames: np.ndarray
    fps: float
    damage: str | None


class VideoReader:
    """Reads the frames of a video file in order.

    Headers often state a wrong length, so the reader does not rely on them: a video has the
    frames that decode and convert to RGB. Others are left out and recorded as damage. Frames
    are upright (a phone's rotation is applied) and have the size of the first one.

    Args:
        path: path of the file.
        threads: decoding threads; 0 lets FFmpeg choose. With several threads, the frames of a
            damaged file depend on their number.
        start: seconds from the first frame at which to start; the first frame shown at or
            after this time is the first one read.
        end: seconds from the first frame at which to stop; a frame shown at this time is not
            read.
        frame_decoded: called after every decoded frame, including those before `start`.

    Attributes:
        header: VideoHeader, what the file states about itself.
        fps: mean frames per second; 0.0 if the file does not state it.
        damage: see `Video`; set once all frames are read.
        num_decoded: frames decoded so far.

    Raises:
        VideoError: if the file cannot be opened or has no video stream; during iteration, if
            no frame decodes.

    Example:

    ```python
    with VideoReader("clip.mp4") as video:
        for frame in video:  # uint8 (height, width, 3), RGB
            ...
    print(video.fps, video.damage)
    ```
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        threads: int = 1,
        start: float | None = None,
        end: float | None = None,
        frame_decoded: Callable[[], None] | None = None,
    ) -> None:
        self._frame_decoded = frame_decoded or (lambda: None)
        self.path = os.fspath(path)
        self.start = start
        self.end = end
        self.damage: str | None = None
        self.num_decoded = 0
        self._first = -math.inf if start is None and end is None else start or 0.0
        self._last = math.inf if end is None else end
        self._shown_until = math.inf  # seconds; set if the frames end before the span does
        self._rgb_errors: dict[tuple[str, int, int], str | None] = {}
        self._container, self._stream = open_video(self.path)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = threads
        self.header = VideoHeader(self._container, self._stream)
        self.fps = self.header.fps

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        for _, frame in self._decoded():
            yield self._pixels(frame)

    def timed(self) -> Iterator[TimedFrame]:
        """Yields the frames with the times at which they are shown.

        Times are the presentation timestamps of the file, so they are right for variable
        frame rates. They never decrease. As in players, 0 is where picture or sound starts,
        whichever is first.

        Example:

        ```python
        with VideoReader("clip.mp4") as video:
            for frame in video.timed():
                print(frame.start, frame.end, frame.pixels.mean())
        ```
        """
        decoded = (frame for _, frame in self._decoded())
        for start, end, frame in shown_times(
            decoded, self.header.start_time, self.fps, self._promised_end
        ):
            convert = functools.partial(self._pixels, frame)
            yield TimedFrame(start, end, convert, pixel_aspect(self._stream, frame))

    def _promised_end(self) -> float | None:
        """Returns the end of the last frame in seconds, if the header proved right."""
        stream, header = self._stream, self.header
        if not self._is_whole or stream.frames != self.num_decoded or not stream.duration:
            return None
        length = float(stream.duration * stream.time_base)
        return header.first_frame_time - header.start_time + length

    def count(self) -> int:
        """Returns the number of frames that decode, without converting them to pixels."""
        return sum(1 for _ in self._decoded())

    def pick(self, indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (index, frame) for the frames with these indices, from 0, in order."""
        wanted = set(indices)
        for index, frame in self._decoded():
            if index in wanted:
                yield index, self._pixels(frame)

    def _decoded(self) -> Iterator[tuple[int, av.VideoFrame]]:
        self.damage, self.num_decoded = None, 0
        decoder, unfit = StreamDecoder(self._container, self._stream, self._is_in_span), 0
        for frame in self._frames_of_span(decoder):
            if self.num_decoded == 0:
                self._size = (frame.width, frame.height)
            if self._rgb_error(frame):
                unfit += 1
                continue
            self.num_decoded += 1
            yield self.num_decoded - 1, frame
        left_out = self._left_out(decoder, unfit)
        if self.num_decoded == 0:
            span = "" if self._is_whole else f" from second {self.start or 0} to {self.end}"
            cause = "; ".join(left_out) or f"it holds none{span}"
            raise VideoError(f"No frame could be decoded ({cause}): {self.path}")
        self.damage = "; ".join([*left_out, *self._missing(decoder)]) or None

    @property
    def _is_whole(self) -> bool:
        return self.start is None and self.end is None

    def _is_in_span(self, packet: av.Packet) -> bool:
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None:
            return True
        time = float(stamp * self._stream.time_base) - self.header.first_frame_time
        return self._first - SAME_TIME <= time < self._last - SAME_TIME

    def _rgb_error(self, frame: av.VideoFrame) -> str | None:
        """Returns why a frame does not convert to RGB, or None; tried once per format and size."""
        kind = (frame.format.name, frame.width, frame.height)
        if kind not in self._rgb_errors:
            try:
                frame.reformat(*self._size, format="rgb24")
                self._rgb_errors[kind] = None
            except (av.FFmpegError, OSError, ValueError) as error:
                self._rgb_errors[kind] = reason(error)
        return self._rgb_errors[kind]

    def _left_out(self, decoder: StreamDecoder, unfit: int) -> list[str]:
        """Returns descriptions of the packets and frames that were left out."""
        found = []
        if decoder.num_bad:
            found.append(f"{_counted(decoder.num_bad, 'damaged packet')} left out")
        if unfit:
            why = next(filter(None, self._rgb_errors.values()))
            found.append(f"{_counted(unfit, 'frame')} cannot be turned into RGB ({why})")
        if decoder.stopped:
            found.append(f"stopped after {_counted(self.num_decoded, 'frame')} ({decoder.stopped})")
        return found

    def _missing(self, decoder: StreamDecoder) -> list[str]:
        """Describes what the header or the span states and the file does not hold."""
        header, until = self.header, self._shown_until
        length = 1 / (self.fps or USUAL_FPS)  # of a frame, in seconds
        if self._is_whole:
            stated, decoded = self._stream.frames, self.num_decoded
            if header.may_be_trimmed and header.seconds and until > header.seconds - 0.5 * length:
                stated = min(stated, decoder.num_packets)
            return [f"header says {stated} frames, {decoded} decode"] if stated > decoded else []
        # From the number of frames: FFmpeg adjusts the duration of a truncated file.
        seconds = header.num_frames / self.fps if self._stream.frames and self.fps else 0
        if min(seconds, self._last) > until + 1.5 * length:
            return [f"header says {seconds:.2f} seconds, frames end at {until:.2f}"]
        if self.end is not None and self.end > until + _ROUNDED:
            return [f"the span ends at {self.end:g} seconds, frames end at {until:.2f}"]
        return []

    def _frames_of_span(self, decoder: StreamDecoder) -> Iterator[av.VideoFrame]:
        base, fps = self._stream.time_base, self.fps or USUAL_FPS
        first_frame_time = self.header.first_frame_time
        if self._first > 0:
            # To the key frame before; two seconds early, as the index of some files is off.
            seconds = max(self._first - 2.0, 0.0) + first_frame_time
            self._container.seek(int(seconds / base), stream=self._stream)
        until = 0.0
        for index, frame in enumerate(decoder.frames()):
            # A file without timestamps does not seek: its frames are counted.
            time = index / fps if frame.time is None else frame.time - first_frame_time
            if time >= self._last - SAME_TIME:
                return
            if time >= self._first - SAME_TIME:
                yield frame
            until = max(until, time + max(float((frame.duration or 0) * base), 1 / fps))
            self._frame_decoded()
        self._shown_until = until

    def _pixels(self, frame: av.VideoFrame) -> np.ndarray:
        return frame_pixels(frame, self._size, self.path)


def read_video(path: str | os.PathLike[str], threads: int = 1) -> Video:
    """Decodes a whole video into memory.

    Args:
        path: path of the file.
        threads: decoding threads, as for `VideoReader`.

    Returns:
        A Video.

    Raises:
        VideoError: if no frame decodes.

    Example:

    ```python
    video = read_video("clip.mp4")
    video.frames.shape  # (40, 240, 320, 3)
    ```
    """
    with VideoReader(path, threads) as reader:
        frames = np.stack(list(reader))
    return Video(frames, reader.fps, reader.damage)


def warn_of_damage(reader: VideoReader) -> None:
    """Issues a DamagedVideoWarning if the frames that were read are not the whole video."""
    if reader.damage:
        text = f"damaged video, scored as far as it decodes ({reader.damage}): {reader.path}"
        warnings.warn(text, DamagedVideoWarning, stacklevel=4)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
