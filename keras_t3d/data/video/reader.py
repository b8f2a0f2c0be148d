"""Decoding video files, frame by frame and in order."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from types import TracebackType
from typing import Any

import av
import numpy as np

from keras_t3d.data.video.decoding import StreamDecoder, reason

# Metadata in another encoding than UTF-8 is no reason to refuse the pictures. From
# version 19 on PyAV does not mind, and has no such option.
_OPTIONS: dict[str, Any] = (
    {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
)


_HIGHEST_FPS = 1000.0  # some headers give the clock's rate instead
SAME_TIME = 1e-4  # seconds: times are stored as fractions
_USUAL_FPS = 25.0  # of files that do not say theirs
_ROUNDED = 0.5  # seconds by which lists may round the end of a video up
_WIDEST_PIXEL = 4  # times its height; what headers say beyond is no aspect
_JUMP = 1.0  # seconds; times that go back further begin anew, as in joined recordings


class VideoError(ValueError):
    """A video gives no frame at all; the message says why."""


class DamagedVideoWarning(UserWarning):
    """A part of a video does not decode; the message says which, and what was left out."""


@dataclasses.dataclass(frozen=True)
class Video:
    """A decoded video.

    Attributes:
        frames: uint8 array of shape (frames, height, width, 3), RGB, upright.
        fps: float. Mean frames per second; 0.0 where the file does not say.
        damage: str or None. What was left out because it does not decode, why the decoder
            stopped before the file's end, or that fewer frames came than the file's header
            promises, or than a span asks for.
    """

    frames: np.ndarray
    fps: float
    damage: str | None


@dataclasses.dataclass(frozen=True)
class TimedFrame:
    """A decoded frame and when it is shown; turned into pixels when these are asked for.

    Attributes:
        start: float. Seconds from the video's beginning, as players count them, at which it
            appears.
        end: float. Seconds at which the next frame takes its place.
        pixel_aspect: float. Width of a pixel over its height, upright; 1.0 for square ones.
    """

    start: float
    end: float
    convert: Callable[[], np.ndarray] = dataclasses.field(repr=False)
    pixel_aspect: float = 1.0

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """uint8 array of shape (height, width, 3), RGB, upright."""
        return self.convert()


class VideoReader:
    """Reads the frames of a video file in order.

    What a header says of a file's length is often wrong, so nothing here relies
    on it: a video has the frames that decode, and that can be turned into RGB. Others are left
    out and noted as damage. Frames come upright (a phone's rotation is applied) and all of the
    first frame's size.

    Args:
        path: path of the file.
        threads: int. Decoding threads; 0 lets FFmpeg choose. With several, what a damaged file
            gives depends on their number. Defaults to `1`.
        start: float. Seconds from the video's first picture at which to begin; the first
            frame that is shown at or after it is the first one read. Defaults to `None`.
        end: float. Seconds before which to end. Defaults to `None`.
        frame_decoded: called after every frame, those before `start` too. Defaults to `None`.

    Attributes:
        fps: float. Mean frames per second; 0.0 where the file does not say.
        damage: str or None. Known once the frames are read: see `Video`.
        num_decoded: int. Frames decoded so far.

    Raises:
        VideoError: if the file cannot be opened or has no video stream; while
            reading, if not one frame decodes.

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
        self._shown_until = math.inf  # seconds; where the frames ended before their span did
        self._why_not: dict[tuple[str, int, int], str | None] = {}
        if not os.path.isfile(self.path):
            what = "a folder, not a video" if os.path.isdir(self.path) else "no such file"
            raise VideoError(f"Expected the path of a local video file ({what}): {self.path}")
        try:
            # Absolute, so that no name is taken for a protocol ("12:30.mp4").
            self._container = av.open(os.path.abspath(self.path), **_OPTIONS)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise VideoError(
                f"Cannot be opened as a video ({reason(error)}): {self.path}"
            ) from None
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f"Has no video stream: {self.path}")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise VideoError(f"Is of a kind that this PyAV cannot decode: {self.path}")
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = threads
        rate = float(self._stream.average_rate or 0.0)
        self.fps = rate if rate <= _HIGHEST_FPS else 0.0

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        for _, frame in self._decoded():
            yield self._pixels(frame)

    @property
    def seconds(self) -> float | None:
        """Length that the header promises, in seconds; None where it does not say."""
        stream, container = self._stream, self._container
        if stream.duration is not None:
            return float(stream.duration * stream.time_base)
        return None if container.duration is None else container.duration / av.time_base

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the header promises, in pixels; 0 where it does not say."""
        return self._stream.height or 0, self._stream.width or 0

    @property
    def promised_frames(self) -> int:
        """How many frames the header promises, often wrongly; 0 where it does not say."""
        by_length = max(round((self.seconds or 0.0) * self.fps), 0)
        if self._may_be_trimmed and by_length:
            return min(self._stream.frames or by_length, by_length)
        return self._stream.frames or by_length

    @property
    def has_sound(self) -> bool:
        """Whether the file holds sound, too."""
        return bool(self._container.streams.audio)

    def timed(self) -> Iterator[TimedFrame]:
        """Gives the frames with the times at which they are shown.

        Times come from the file's presentation timestamps, so they are right where frames
        follow each other unevenly, too. They never go back. As players do, they count from
        where picture or sound begins, whichever is first.

        Example:

        ```python
        with VideoReader("clip.mp4") as video:
            for frame in video.timed():
                print(frame.start, frame.end, frame.pixels.mean())
        ```
        """
        decoded = (frame for _, frame in self._decoded())
        for start, end, frame in shown_times(
            decoded, self._beginning, self.fps, self._promised_end
        ):
            convert = functools.partial(self._pixels, frame)
            yield TimedFrame(start, end, convert, pixel_aspect(self._stream, frame))

    def _promised_end(self) -> float | None:
        """Seconds at which the last frame gives way, from a header that is right otherwise."""
        stream = self._stream
        if not self._is_whole or stream.frames != self.num_decoded or not stream.duration:
            return None
        return self._first_picture - self._beginning + float(stream.duration * stream.time_base)

    def count(self) -> int:
        """Returns how many frames decode, without turning them into pixels."""
        return sum(1 for _ in self._decoded())

    def pick(self, indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Gives (index, frame) of the frames with these indices, in order; the rest is passed over.

        Args:
            indices: ints, from 0.
        """
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
            if self._why_not_rgb(frame):
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

    @property
    def _may_be_trimmed(self) -> bool:
        """Whether the file is of the one kind whose edit lists can leave frames out."""
        return "mp4" in self._container.format.name.split(",")

    @property
    def _first_picture(self) -> float:
        """The file's time of the first picture, in seconds."""
        return float((self._stream.start_time or 0) * self._stream.time_base)

    @property
    def _beginning(self) -> float:
        """The file's time that players call 0, in seconds: where picture or sound begins.

        Sound that begins below 0 only readies its decoder.
        """
        start = self._container.start_time
        picture = self._first_picture
        return picture if start is None else min(picture, max(start / av.time_base, 0.0))

    def _is_in_span(self, packet: av.Packet) -> bool:
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None:
            return True
        time = float(stamp * self._stream.time_base) - self._first_picture
        return self._first - SAME_TIME <= time < self._last - SAME_TIME

    def _why_not_rgb(self, frame: av.VideoFrame) -> str | None:
        """Why a frame cannot be turned into RGB, if so: asked once of each kind of frame."""
        kind = (frame.format.name, frame.width, frame.height)
        if kind not in self._why_not:
            try:
                frame.reformat(*self._size, format="rgb24")
                self._why_not[kind] = None
            except (av.FFmpegError, OSError, ValueError) as error:
                self._why_not[kind] = reason(error)
        return self._why_not[kind]

    def _left_out(self, decoder: StreamDecoder, unfit: int) -> list[str]:
        """What did not become a frame of the video, of what the file holds."""
        said = []
        if decoder.num_bad:
            said.append(f"{_counted(decoder.num_bad, 'damaged packet')} left out")
        if unfit:
            why = next(filter(None, self._why_not.values()))
            said.append(f"{_counted(unfit, 'frame')} cannot be turned into RGB ({why})")
        if decoder.stopped:
            said.append(f"stopped after {_counted(self.num_decoded, 'frame')} ({decoder.stopped})")
        return said

    def _missing(self, decoder: StreamDecoder) -> list[str]:
        """What the file does not hold, though its header or the span says so."""
        until, length = self._shown_until, 1 / (self.fps or _USUAL_FPS)  # of a frame
        if self._is_whole:
            promised, decoded = self._stream.frames, self.num_decoded
            if self._may_be_trimmed and self.seconds and until > self.seconds - 0.5 * length:
                promised = min(promised, decoder.num_packets)
            if promised > decoded:
                return [f"header says {promised} frames, {decoded} decode"]
            return []
        # By the number of frames: FFmpeg shortens the length of a file that is cut short.
        seconds = self.promised_frames / self.fps if self._stream.frames and self.fps else 0
        if min(seconds, self._last) > until + 1.5 * length:
            return [f"header says {seconds:.2f} seconds, frames end at {until:.2f}"]
        if self.end is not None and self.end > until + _ROUNDED:
            return [f"the span ends at {self.end:g} seconds, frames end at {until:.2f}"]
        return []

    def _frames_of_span(self, decoder: StreamDecoder) -> Iterator[av.VideoFrame]:
        base, fps = self._stream.time_base, self.fps or _USUAL_FPS
        first_picture = self._first_picture
        if self._first > 0:
            # To the key frame before; two seconds early, as some files are off by a little.
            seconds = max(self._first - 2.0, 0.0) + first_picture
            self._container.seek(int(seconds / base), stream=self._stream)
        until = 0.0
        for index, frame in enumerate(decoder.frames()):
            # A file without times cannot be sought in: its frames are counted.
            time = index / fps if frame.time is None else frame.time - first_picture
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
        threads: int. Decoding threads, as for `VideoReader`. Defaults to `1`.

    Returns:
        A Video.

    Raises:
        VideoError: if not one frame decodes.

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
    """Warns where what was read is not the whole video."""
    if reader.damage:
        text = f"damaged, scored as far as it decodes ({reader.damage}): {reader.path}"
        warnings.warn(text, DamagedVideoWarning, stacklevel=4)


def frame_pixels(frame: av.VideoFrame, size: tuple[int, int], source: str) -> np.ndarray:
    """Turns a decoded frame into pixels: uint8 (height, width, 3), RGB, upright.

    Args:
        frame: decoded frame.
        size: width and height, in pixels, that it is to have before it is turned upright.
        source: str. Where it comes from, for the error.

    Raises:
        VideoError: if it cannot be turned into RGB.
    """
    try:
        pixels = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"A frame cannot be turned into RGB ({reason(error)}): {source}") from None
    return _upright(pixels, frame.rotation)


def pixel_aspect(stream: Any, frame: av.VideoFrame) -> float:
    """Returns the width of a pixel over its height, upright; 1.0 where the file does not say.

    Args:
        stream: the video stream.
        frame: one of its frames, which says how it is turned.
    """
    ratio = stream.sample_aspect_ratio
    if not ratio or not 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL:
        return 1.0
    return float(1 / ratio if round(frame.rotation / 90) % 2 else ratio)


def shown_times(
    frames: Iterable[av.VideoFrame],
    origin: float,
    fps: float,
    promised_end: Callable[[], float | None] = lambda: None,
) -> Iterator[tuple[float, float, av.VideoFrame]]:
    """Gives decoded frames with the seconds at which each appears and gives way.

    A frame gives way when the next appears, which therefore is decoded first: what a file
    says of a frame's length is often that of another. A frame without a time comes one usual
    frame after the one before; where times go back by more than a second, as in joined
    recordings, they go on from there.

    Args:
        frames: decoded frames, in the order in which they are shown.
        origin: float. The first frame's time, in seconds of the file.
        fps: float. Usual frames per second; 0.0 counts as 25.
        promised_end: called after the last frame, for the seconds at which it gives way;
            where they are not known, what the file says of the frame's length counts.

    Yields:
        (start, end, frame).
    """
    gap = 1 / (fps or _USUAL_FPS)
    before, start, shift = None, 0.0, -origin
    for frame in frames:
        time = start + gap if frame.time is None else frame.time + shift
        if before is None:
            shift -= min(time, 0.0)
            start = 0.0 if frame.time is None else max(time, 0.0)
        else:
            if time < start - _JUMP:
                shift += start + gap - time
                time = start + gap
            yield start, max(time, start), before
            start = max(time, start)
        before = frame
    if before is not None:
        length = float((before.duration or 0) * before.time_base) if before.time_base else 0.0
        end = promised_end()
        yield start, end if end and end > start else start + (length or gap), before


def _upright(pixels: np.ndarray, rotation: int) -> np.ndarray:
    """Undoes a camera's rotation, given in degrees counter-clockwise."""
    quarter_turns = round(rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
