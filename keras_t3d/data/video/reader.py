"""Decodes video files frame by frame, in display order."""

from __future__ import annotations

import array
import dataclasses
import functools
import os
from collections.abc import Callable, Collection, Iterator

import av
import numpy as np

from keras_t3d.data.video.damage import left_out_frames, missing_frames
from keras_t3d.data.video.decoding import StreamDecoder, open_video
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.frames import (
    TimedFrame,
    counted_times,
    mean_fps,
    pixel_aspect,
    presentation_times,
    shown_times,
    with_time_of_first,
)
from keras_t3d.data.video.header import VideoHeader
from keras_t3d.data.video.orientation import is_turned
from keras_t3d.data.video.rgb import Columns, RgbConverter
from keras_t3d.data.video.span import (
    Span,
    TimedFrames,
    can_seek,
    frames_from_key,
    has_index,
    packets_to_skip,
    seek_before,
)
from keras_t3d.data.video.streams import film_streams


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
        threads: threads that decode and convert to RGB; 0 lets FFmpeg choose. With several
            threads, the frames of a damaged file depend on their number.
        start: seconds from the first frame at which to start; the first frame shown at or
            after this time is the first one read. Times are compared with a tolerance of half a
            tick of the file's clock.
        end: seconds from the first frame at which to stop; a frame shown at this time is not
            read.
        frame_decoded: called after every decoded frame, including those before `start`.

    Attributes:
        header: VideoHeader, what the file states about itself.
        damage: see `Video`; set once all frames are read.
        num_decoded: frames decoded so far.
        num_streams: video streams in the file, besides cover art; the default one is read.

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
        self.path = os.fspath(path)
        self.damage: str | None = None
        self.num_decoded = 0
        self.num_streams = 1
        self._threads = threads
        self._span = Span(start, end)
        self._frame_decoded = frame_decoded or (lambda: None)
        self._seconds = array.array("d")  # of the frames read so far
        self._converter = RgbConverter(self.path, threads)
        self._rgb_errors: dict[tuple[str, int, int], str | None] = {}
        self._open()

    def _open(self) -> None:
        self._container, self._stream = open_video(self.path)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = self._threads
        self.num_streams = len(film_streams(self._container))
        self.header = VideoHeader(self._container, self._stream)

    @property
    def fps(self) -> float:
        """Mean frames per second, of the frames read so far if they contradict the header."""
        length = self._seconds[-1] - self._seconds[0] if self._seconds else 0.0
        return mean_fps(self.num_decoded, length, self.header.fps)

    @property
    def times(self) -> np.ndarray:
        """When the frames read so far are shown, from the first: int64 (frames,), microseconds."""
        seconds = np.array(self._seconds)
        return np.round(1e6 * (seconds - seconds[:1])).astype(np.int64)

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
        header = self.header
        delay = header.first_frame_time - header.start_time
        decoded = ((delay + time, frame) for time, frame in self._decoded())
        for start, end, frame in shown_times(decoded, header.gap, self._promised_end):
            convert = functools.partial(self._pixels, frame)
            yield TimedFrame(start, end, convert, pixel_aspect(self._stream, frame))

    def _promised_end(self) -> float | None:
        """Returns the end of the last frame in seconds, if the header proved right."""
        stream, header = self._stream, self.header
        proved_right = self._span.is_whole and header.stated_frames == self.num_decoded
        if not (proved_right and stream.duration):
            return None
        length = float(stream.duration * stream.time_base)
        return header.first_frame_time - header.start_time + length

    def count(self) -> int:
        """Returns the number of frames that decode, without converting them to pixels."""
        return sum(1 for _ in self._decoded())

    def pick(self, indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (index, frame) for the frames with these indices, from 0, in order."""
        return ((index, self._pixels(frame)) for index, frame in self._picked(indices))

    def pick_columns(
        self, indices: Collection[int], columns: Columns
    ) -> Iterator[tuple[int, np.ndarray, int]]:
        """Yields (index, these columns of the frame, width of the whole frame)."""
        for index, frame in self._picked(indices):
            pixels = self._converter.pixels(frame, self._size, columns)
            yield index, pixels, self._size[1 if is_turned(frame) else 0]

    def _picked(self, indices: Collection[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        wanted = set(indices)
        for index, (_, frame) in enumerate(self._decoded()):
            if index in wanted:
                yield index, frame

    def _decoded(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Yields the frames of the span with their times, in seconds from the first frame."""
        self.damage, self.num_decoded, self._seconds = None, 0, array.array("d")
        decoder, timed = self._timed_frames()
        unfit, until, reached_end = 0, 0.0, True
        for time, frame in timed:
            self._frame_decoded()
            if self._span.is_past(time, self.header.clock_tolerance):
                reached_end = False
                break
            base = frame.time_base or self._stream.time_base
            until = time + max(float((frame.duration or 0) * base), self.header.gap)
            if not self._span.holds(time, self.header.clock_tolerance):
                continue
            if not self._seconds:
                self._size = (frame.width, frame.height)
            if self._rgb_error(frame):
                unfit += 1
                continue
            self._seconds.append(time)
            self.num_decoded += 1
            yield time, frame
        why = next(filter(None, self._rgb_errors.values()), "")
        left_out = left_out_frames(decoder, unfit, why, self.num_decoded)
        if self.num_decoded == 0:
            cause = "; ".join(left_out) or f"it holds none{self._span}"
            raise VideoError(f"No frame could be decoded ({cause}): {self.path}")
        missing = None
        if reached_end:
            missing = missing_frames(self.header, self._span, decoder, self.num_decoded, until)
        self.damage = "; ".join(filter(None, [*left_out, missing])) or None

    def _timed_frames(self) -> tuple[StreamDecoder, TimedFrames]:
        """Returns a decoder and its frames with their times, from before the span on."""
        if self._span.first > 0 and can_seek(self._stream, self.header):
            place = (self._container, self._stream, self.header, self._span)
            is_indexed = has_index(self._container)
            found = seek_before(*place, self._is_requested) if is_indexed else self._skip()
            if found is not None:
                return found
            self._reopen()
        decoder = StreamDecoder(self._container, self._stream, self._is_requested)
        frames, header = decoder.frames(), self.header
        if not header.states_times:
            return decoder, counted_times(frames, header.gap)
        if not header.knows_first_frame:
            header.first_frame_time, frames = with_time_of_first(frames)
        return decoder, presentation_times(frames, header.first_frame_time, header.gap)

    def _skip(self) -> tuple[StreamDecoder, TimedFrames] | None:
        skip = packets_to_skip(self._container, self._stream, self.header, self._span)
        if not skip:
            return None
        self._reopen()
        decoder = StreamDecoder(self._container, self._stream, self._is_requested, skip)
        frames = frames_from_key(decoder, self.header, self._span)
        return None if frames is None else (decoder, frames)

    def _reopen(self) -> None:
        self._container.close()
        self._open()

    def _is_requested(self, packet: av.Packet) -> bool:
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None:
            return True
        time = float(stamp * self._stream.time_base) - self.header.first_frame_time
        return self._span.holds(time, self.header.clock_tolerance)

    def _rgb_error(self, frame: av.VideoFrame) -> str | None:
        """Returns why a frame does not convert to RGB, or None; tried once per format and size."""
        kind = (frame.format.name, frame.width, frame.height)
        if kind not in self._rgb_errors:
            self._rgb_errors[kind] = self._converter.error(frame, self._size)
        return self._rgb_errors[kind]

    def _pixels(self, frame: av.VideoFrame) -> np.ndarray:
        return self._converter.pixels(frame, self._size)


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
