"""Writes frames with their times to an mp4 file."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np

from keras_t3d.atomic import check_file_path, written_beside
from keras_t3d.errors import KerasT3DError


class Encoder(NamedTuple):
    """A video encoder of FFmpeg."""

    name: str
    time_base: int  # ticks per second of frame timestamps
    options: Mapping[str, str]


_MPEG_TIME_BASE = 90_000
# A key frame at least every 60 frames starts a new fragment of the file, so that a killed process
# or a full disk loses no more than those.
_KEY_FRAMES = {"g": "60"}
# The first one that this PyAV has is used.
ENCODERS = (
    # Without B-frames, whose timestamps shift the end of the last frame in an mp4 file.
    Encoder(
        "libx264",
        _MPEG_TIME_BASE,
        {"crf": "20", "preset": "veryfast", "bf": "0", **_KEY_FRAMES},
    ),
    Encoder("libopenh264", _MPEG_TIME_BASE, _KEY_FRAMES),
    # The time base is a 16-bit number. A quantizer of 3, in FFmpeg's unit of 1/118.
    Encoder("mpeg4", 60_000, {"flags": "+qscale", "global_quality": str(3 * 118), **_KEY_FRAMES}),
)
_DEFAULT_FPS = 25
# A fragmented file needs no index at its end: it is playable as far as it is written, and memory
# does not grow with its length. Its header is written with the first fragment (delay_moov), or the
# time of the first frame would be lost.
_FRAGMENTED = {"movflags": "frag_keyframe+delay_moov+default_base_moof", "flush_packets": "1"}


class RecordingError(KerasT3DError, OSError):
    """A video file cannot be written, or not completely."""


class VideoWriter:
    """Writes an mp4 file frame by frame; see `open_video_writer`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.num_frames = 0
        with _as_recording_error():
            self._container = av.open(os.fspath(path), "w", format="mp4", options=_FRAGMENTED)
        self._stream: Any = None
        self._time_base = _MPEG_TIME_BASE
        self._durations: dict[int, int] = {}  # by timestamp, of frames still in the encoder
        self._last_timestamp = -1

    def write(self, pixels: np.ndarray, start: float, end: float) -> None:
        """Adds a frame.

        Args:
            pixels: uint8 array (height, width, 3), RGB, of the same size in all calls. H.264
                needs an even height and width: the last row or column is repeated if necessary.
            start: seconds at which the frame appears.
            end: seconds at which the next frame replaces it.

        Raises:
            RecordingError: if it cannot be written.
        """
        pixels = np.pad(pixels, [(0, side % 2) for side in pixels.shape[:2]] + [(0, 0)], "edge")
        with _as_recording_error():
            if self._stream is None:
                encoder = _encoder()
                self._time_base = encoder.time_base
                self._stream = _new_stream(self._container, encoder, pixels.shape, end - start)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            # Timestamps must increase: a frame at the same time is written one tick later.
            frame.pts = max(round(start * self._time_base), self._last_timestamp + 1)
            frame.time_base = Fraction(1, self._time_base)
            self._last_timestamp = frame.pts
            self._durations[frame.pts] = max(round(end * self._time_base) - frame.pts, 1)
            self._mux(self._stream.encode(frame))
        self.num_frames += 1

    def close(self) -> None:
        """Writes the frames still in the encoder, and closes the file."""
        with _as_recording_error(), contextlib.closing(self._container):
            if self._stream is not None:
                self._mux(self._stream.encode())

    def _mux(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            # The encoder does not pass durations on; the last frame needs its own.
            packet.duration = self._durations.pop(packet.pts or 0, 0)
            self._container.mux(packet)


@contextlib.contextmanager
def open_video_writer(path: str | os.PathLike[str]) -> Iterator[VideoWriter]:
    """Opens an mp4 file for writing; it appears when the block ends without an exception.

    If writing fails later, as on a full disk, the playable part of the file is kept.

    Args:
        path: path that ends in `.mp4`.

    Yields:
        VideoWriter.

    Raises:
        InvalidArgumentError: if the path does not end in `.mp4`.
        RecordingError: if the file cannot be written, or not completely.

    Example:

    ```python
    with open_video_writer("grey.mp4") as writer:
        for index in range(50):
            writer.write(np.full((48, 64, 3), 5 * index, np.uint8), index / 25, (index + 1) / 25)
    ```
    """
    check_file_path(path, "path", "annotated.mp4")
    failure: RecordingError | None = None
    with written_beside(path) as part:
        try:
            writer = VideoWriter(part)
            try:
                yield writer
            except BaseException:
                with contextlib.suppress(Exception):
                    writer.close()
                raise
            writer.close()
        except RecordingError as error:
            if not _truncate_to_complete_fragments(part):
                raise RecordingError(f"Cannot write {os.fspath(path)}: {error}") from None
            failure = error
    if failure is not None:
        raise RecordingError(
            f"Cannot write all of {os.fspath(path)}: {failure}. The file is playable up to there"
        )


@contextlib.contextmanager
def _as_recording_error() -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise RecordingError(error.strerror) from None


def _encoder() -> Encoder:
    for encoder in ENCODERS:
        with contextlib.suppress(ValueError, av.FFmpegError):
            if encoder.name in av.codecs_available and av.Codec(encoder.name, "w"):
                return encoder
    raise RecordingError(
        f"PyAV has none of the encoders {', '.join(encoder.name for encoder in ENCODERS)}; "
        "pip install --upgrade av"
    )


def _new_stream(container: Any, encoder: Encoder, shape: tuple[int, ...], duration: float) -> Any:
    # The frame rate is a hint for the encoder; each frame has its own timestamp.
    is_plausible = 0.001 < duration < 10
    fps = Fraction(1 / duration).limit_denominator(1001) if is_plausible else _DEFAULT_FPS
    stream = container.add_stream(encoder.name, rate=fps)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, encoder.time_base)
    stream.time_base = Fraction(1, encoder.time_base)
    stream.options = dict(encoder.options)
    return stream


def _truncate_to_complete_fragments(path: pathlib.Path) -> bool:
    """Truncates a file after its last complete fragment; returns False if it has none."""
    if not path.exists():
        return False
    end, position, size = 0, 0, path.stat().st_size
    with path.open("r+b") as file:
        # A box is its length (4 bytes, which counts the header), its type (4 bytes), its content.
        while len(header := file.read(8)) == 8:
            position += int.from_bytes(header[:4], "big")
            if position > size or position < file.tell():
                break
            if header[4:] == b"mdat":  # the last box of a fragment
                end = position
            file.seek(position)
        file.truncate(end)
    return end > 0
