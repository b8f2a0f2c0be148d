"""Writing pictures and their times as an mp4 file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import av
import numpy as np

from keras_t3d.atomic import written_beside


@dataclasses.dataclass(frozen=True)
class Encoder:
    """An encoder of FFmpeg.

    Attributes:
        name: str. As FFmpeg calls it.
        clock: int. Units of time a second, in which pictures are timed.
        options: its options, by name.
    """

    name: str
    clock: int
    options: Mapping[str, str]


_BROADCAST_CLOCK = 90_000
# A key picture at least every 60: a fragment of the file begins with it, so that what ends the
# process without a word, or a disk that is full, takes no more than those.
_KEY_PICTURES = {"g": "60"}
# The first that this PyAV has is used.
ENCODERS = (
    # No frames that refer to later ones: in an mp4 file those blur where the last one ends.
    Encoder(
        "libx264",
        _BROADCAST_CLOCK,
        {"crf": "20", "preset": "veryfast", "bf": "0", **_KEY_PICTURES},
    ),
    Encoder("libopenh264", _BROADCAST_CLOCK, _KEY_PICTURES),
    # Its clock is a number of 16 bits. A quantizer of 3, in FFmpeg's unit of 1/118.
    Encoder("mpeg4", 60_000, {"flags": "+qscale", "global_quality": str(3 * 118), **_KEY_PICTURES}),
)
_USUAL_FPS = 25
# In fragments, a file needs no index at its end: it is playable as far as it is written, and
# memory does not grow with its length. The head waits for the first one (delay_moov), or the
# time of the first picture would be lost.
_FRAGMENTED = {"movflags": "frag_keyframe+delay_moov+default_base_moof", "flush_packets": "1"}


class RecordingError(OSError):
    """A video file cannot be written, or no further; the message says why."""


class AnnotatedVideo:
    """An mp4 file that takes one picture after the other; see `annotated_video`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.num_frames = 0
        with _as_recording_error():
            self._container = av.open(os.fspath(path), "w", format="mp4", options=_FRAGMENTED)
        self._stream: Any = None
        self._clock = _BROADCAST_CLOCK
        self._lengths: dict[int, int] = {}  # of frames that the encoder still holds
        self._last = -1

    def write(self, pixels: np.ndarray, start: float, end: float) -> None:
        """Adds a picture.

        Args:
            pixels: uint8 array of shape (height, width, 3), RGB; all of one size. An odd
                height or width is made even, as H.264 wants it, by its last row or column
                twice.
            start: float. Seconds at which it appears.
            end: float. Seconds at which it gives way.

        Raises:
            RecordingError: if it cannot be written.
        """
        pixels = np.pad(pixels, [(0, side % 2) for side in pixels.shape[:2]] + [(0, 0)], "edge")
        with _as_recording_error():
            if self._stream is None:
                encoder = _encoder()
                self._clock = encoder.clock
                self._stream = _new_stream(self._container, encoder, pixels.shape, end - start)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            # Two pictures at one time cannot be written: the later comes a tick later.
            frame.pts = self._last = max(round(start * self._clock), self._last + 1)
            frame.time_base = Fraction(1, self._clock)
            self._lengths[frame.pts] = max(round(end * self._clock) - frame.pts, 1)
            self._mux(self._stream.encode(frame))
        self.num_frames += 1

    def close(self) -> None:
        """Writes what the encoder still holds."""
        with _as_recording_error(), contextlib.closing(self._container):
            if self._stream is not None:
                self._mux(self._stream.encode())

    def _mux(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            # What the encoder does not pass on: the last picture's length, above all.
            packet.duration = self._lengths.pop(packet.pts or 0, 0)
            self._container.mux(packet)


@contextlib.contextmanager
def annotated_video(path: str | os.PathLike[str]) -> Iterator[AnnotatedVideo]:
    """Opens an mp4 file to write; there when the block ends, absent if it raises.

    Where it cannot be written any further, as on a full disk, it is there as far as it is
    playable.

    Args:
        path: path that ends in `.mp4`.

    Raises:
        ValueError: if it ends otherwise.
        RecordingError: if it cannot be written, or not to its end.

    Example:

    ```python
    with VideoReader("clip.mp4") as source, annotated_video("grey.mp4") as out:
        for frame in source.timed():
            grey = np.repeat(frame.pixels.mean(-1, keepdims=True), 3, -1).astype("uint8")
            out.write(grey, frame.start, frame.end)
    ```
    """
    check_annotated_file(path)
    failure: RecordingError | None = None
    with written_beside(path) as part:
        try:
            video = AnnotatedVideo(part)
            try:
                yield video
            except BaseException:
                with contextlib.suppress(Exception):
                    video.close()
                raise
            video.close()
        except RecordingError as error:
            if not _cut_to_whole_fragments(part):
                raise RecordingError(f"Cannot be written ({error}): {os.fspath(path)}") from None
            failure = error
    if failure is not None:
        raise RecordingError(
            f"Cannot be written to its end ({failure}), playable as far as it goes: "
            f"{os.fspath(path)}"
        )


def check_annotated_file(path: str | os.PathLike[str]) -> None:
    """Refuses what is no path of an mp4 file."""
    if pathlib.Path(path).suffix.lower() != ".mp4" or os.path.isdir(path):
        raise ValueError(
            "Expected a file that ends in .mp4, for example annotated.mp4. "
            f"Received: {os.fspath(path)}"
        )


@contextlib.contextmanager
def _as_recording_error() -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise RecordingError(error.strerror) from None


def _encoder() -> Encoder:
    for encoder in ENCODERS:
        if encoder.name in av.codecs_available and _encodes(encoder.name):
            return encoder
    raise RecordingError(
        f"no encoder: {', '.join(encoder.name for encoder in ENCODERS)} are all missing here; "
        "pip install --upgrade av"
    )


def _encodes(codec: str) -> bool:
    try:
        return bool(av.Codec(codec, "w"))
    except (ValueError, av.FFmpegError):
        return False


def _new_stream(container: Any, encoder: Encoder, shape: tuple[int, ...], length: float) -> Any:
    # The rate is a hint for the encoder: times are those of the pictures.
    fps = Fraction(1 / length).limit_denominator(1001) if 0.001 < length < 10 else _USUAL_FPS
    stream = container.add_stream(encoder.name, rate=fps)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, encoder.clock)
    stream.time_base = Fraction(1, encoder.clock)
    stream.options = dict(encoder.options)
    return stream


def _cut_to_whole_fragments(path: pathlib.Path) -> bool:
    """Cuts a file behind its last whole fragment; False where it has none."""
    if not path.exists():
        return False
    end, at, size = 0, 0, path.stat().st_size
    with path.open("r+b") as file:
        # Boxes: their length (4 bytes, this head included), their kind, what they hold.
        while len(head := file.read(8)) == 8:
            at += int.from_bytes(head[:4], "big")
            if at > size or at < file.tell():
                break
            if head[4:] == b"mdat":  # ends a fragment
                end = at
            file.seek(at)
        file.truncate(end)
    return end > 0
